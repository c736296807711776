"""Expressions and grammars that would take the compiler too long never get there."""

from __future__ import annotations

from typing import Any

import pytest

from tricorn.errors import InvalidRequest
from tricorn.schemas.chat import ChatRequest
from tricorn.schemas.constraint_cost import MAX_PARTS, MAX_REPEAT

MANY = MAX_PARTS + 1
ASK = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
DOUBLING = "start: A0\n" + "\n".join(f"A{i}: A{i + 1} A{i + 1}" for i in range(40)) + '\nA40: "x"'
PRODUCT = f'start: A\nA: {"B " * 200}\nB: {"C " * 50}\nC: "a" | ""'


def refusal(**fields: Any) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        ChatRequest.parse(ASK | fields)
    return caught.value


@pytest.mark.parametrize(
    "pattern",
    [
        "a?" * MANY,
        "(a|)" * MANY,
        "(|a)" * MANY,
        "[ab]*" * MANY,
        f"a{{{MAX_REPEAT + 1}}}",
        "a{1,4294967295}",
        "a{ 1 , 99999999999999999999 }",
    ],
)
def test_expressions(pattern: str) -> None:
    """By themselves, in a schema, in a tool's schema and in a grammar; the field is named."""
    assert refusal(guided_regex=pattern).param == "guided_regex"
    outputs = {"regex": pattern}
    assert refusal(structured_outputs=outputs).param == "structured_outputs.regex"
    schema = {"type": "object", "properties": {"a": {"items": {"pattern": pattern}}}}
    form = {"type": "json_schema", "json_schema": {"name": "a", "schema": schema}}
    assert refusal(response_format=form).param == "response_format.json_schema.schema"
    assert refusal(guided_json={"patternProperties": {pattern: {}}}).param == "guided_json"
    tool = {"type": "function", "function": {"name": "f", "parameters": schema}}
    assert refusal(tools=[tool]).param == "tools[0].function.parameters"
    assert refusal(grammar=f"start: A\nA: /{pattern}/").param == "grammar"


@pytest.mark.parametrize(
    "grammar",
    [
        DOUBLING,
        PRODUCT,
        f'start: A\nA: {"B " * MANY}\nB: "a" | ""',
        f'start: "a"{{1,{MAX_REPEAT + 1}}}',
        "root ::= [a-z]{1,1000000}",
        "start: A0\n" + "\n".join(f"A{i}: A{i + 1}" for i in range(500)) + '\nA500: "x"',
    ],
)
def test_grammars(grammar: str) -> None:
    """Terminals are counted with all that they are made of."""
    assert refusal(guided_grammar=grammar).param == "guided_grammar"


@pytest.mark.parametrize(
    "fields",
    [
        {"guided_regex": r"(\d{1,3}\.){3}\d{1,3}(:\d{1,5})?"},
        {"guided_regex": "|".join(f"word{i}" for i in range(5000))},
        {"guided_regex": r"(a{1,1000}){1,1000}"},
        {"guided_grammar": 'start: A+ | b\nA: "x"\nb: A "?" /[0-9]*/ "ABC DEF"'},
        {"guided_grammar": 'root ::= "yes" | "no" | [0-9]+ ws\nws ::= [ \\t]*'},
        {"guided_grammar": "start: A\nA: A A"},
        {"guided_json": {"enum": [f"what? {i}" for i in range(5000)]}},
    ],
)
def test_what_people_write_is_let_through(fields: dict[str, Any]) -> None:
    """Cost is a matter of the compiler's work, not of length."""
    ChatRequest.parse(ASK | fields)


@pytest.mark.parametrize("field", ["guided_json", "json_schema"])
def test_schemas_are_bounded_in_length_and_depth(field: str) -> None:
    """As objects and as JSON text."""
    deep: dict[str, Any] = {"type": "string"}
    for _ in range(80):
        deep = {"items": deep}
    long = {"description": "x" * 200_000}
    for schema in (deep, long, "[" * 100_000, '{"a": NaN}', '{"a": "\\ud800"}'):
        assert refusal(**{field: schema}).param == field


def test_tools_are_bounded_in_length_depth_and_number() -> None:
    """Whether calls are held to their schemas or not."""
    long = {"type": "object", "description": "x" * 200_000}
    tool = {"type": "function", "function": {"name": "f", "parameters": long}}
    assert refusal(tools=[tool]).param == "tools[0].function.parameters"
    named = [{"type": "function", "function": {"name": f"f{i}"}} for i in range(129)]
    assert refusal(tools=named).param == "tools"


def test_refusals_do_not_repeat_all_that_was_sent() -> None:
    """A value of a megabyte makes no answer, and no line of the log, of a megabyte."""
    for error in (
        refusal(messages=[{"role": "x" * 1_000_000}]),
        refusal(reasoning_effort="y" * 1_000_000),
        refusal(tool_choice="z" * 1_000_000),
    ):
        assert len(error.message) < 700
