"""What a model can write under the grammar of tool calls, over one token a byte."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.chat.tools.grammars import CALLS, COMPILER, TOOLS, accepts, babble, held
from tests.chat.tools.reading import joined
from tests.chat.tools.written import written

from tricorn.chat.answer_reader import AnswerReader
from tricorn.chat.pieces import Reading
from tricorn.chat.reasoning import TAGS
from tricorn.chat.tools.formats import FORMATS
from tricorn.chat.tools.rules import ToolRules
from tricorn.engines.request import Constraint
from tricorn.errors import InvalidRequest


def calls_in(form: str, text: str) -> list[tuple[str, Any]]:
    reader = AnswerReader(Reading(form), TOOLS)
    content, _, calls = joined(reader.feed(text) + reader.finish(cut=False))
    assert content == ""
    return [(name, json.loads(arguments)) for name, arguments in calls]


@settings(deadline=None, max_examples=100)
@given(form=st.sampled_from(list(FORMATS)), seed=st.integers(0, 10_000), parallel=st.booleans())
def test_whatever_is_written_is_a_valid_call(form: str, seed: int, parallel: bool) -> None:
    """Under `required` a model that knows nothing calls tools of the request, rightly."""
    text = babble(held(form, ToolRules(required=True, parallel=parallel)), seed)
    if text is None:
        return
    calls = calls_in(form, text)
    assert calls
    assert parallel or len(calls) == 1
    for name, arguments in calls:
        if name == "now":
            assert arguments == {}
            continue
        assert name == "get_weather"
        assert {"unit", "place"} <= set(arguments) <= {"unit", "days", "flag", "place"}
        assert arguments["unit"] in ("C", "F")
        assert arguments["place"] in ("here", 5, None)
        assert 1 <= arguments.get("days", 1) <= 9
        assert isinstance(arguments.get("flag", True), bool)


@pytest.mark.parametrize("form", FORMATS)
def test_required(form: str) -> None:
    """Calls as the family writes them, and nothing else."""
    only = held(form)
    assert accepts(only, CALLS[form])
    assert not accepts(only, "Hello!")
    assert not accepts(only, "")
    assert not accepts(only, CALLS[form].replace("now", "later"))
    if FORMATS[form].parallel:
        weather = ("get_weather", {"unit": "C", "place": 5})
        assert accepts(only, written(form, ("now", {}), weather, ("now", {})))


@pytest.mark.parametrize("form", FORMATS)
def test_auto(form: str) -> None:
    """Any text, or calls, or calls behind text where a marker tells them; none that are wrong."""
    free = held(form, ToolRules(), reasoning="harmony" if form == "harmony" else "")
    assert accepts(free, CALLS[form])
    assert not accepts(free, CALLS[form].replace("now", "later"))
    if form == "harmony":
        assert accepts(free, "<|channel|>final<|message|>Hello <b> [x] {}!")
        return
    assert accepts(free, "Hello <b> [x] {}!")
    assert accepts(free, '{"answer": 1}')
    if FORMATS[form].trigger:
        assert accepts(free, "Let me see. " + CALLS[form])
        assert not accepts(free, "Let me see. " + CALLS[form].replace("now", "later"))


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize(
    "schema", [{"properties": {"a": {"type": "integer"}}, "required": ["a"]}, {}]
)
def test_a_call_or_an_answer(form: str, schema: dict[str, Any]) -> None:
    """With response_format: a call, or what follows the schema, and no other text."""
    answer = Constraint("json_schema", json.dumps({"type": "object", **schema}))
    harmony = form == "harmony"
    either = held(form, ToolRules(), answer, reasoning="harmony" if harmony else "")
    head = "<|channel|>final<|message|>" if harmony else ""
    assert accepts(either, CALLS[form])
    assert accepts(either, head + '{"a": 1}')
    assert not accepts(either, head + "Hello")
    assert accepts(either, head + '{"b": 1}') is (not schema)


@pytest.mark.parametrize("reasoning", TAGS)
def test_thoughts_are_free(reasoning: str) -> None:
    """A thought may come first, and is anything; the answer behind it is held."""
    begin, end, answer_tags = TAGS[reasoning][:3]
    kinds = [
        (Constraint("json_schema", '{"const": 5}'), "5"),
        (Constraint("choice", '["left", "right"]'), "left"),
        (Constraint("regex", r"\d/[a-c]+"), "5/abc"),
        (Constraint("json_object"), '{"a": 1}'),
    ]
    for answer, text in kinds:
        outside = held(None, ToolRules(), answer, reasoning=reasoning)
        assert accepts(outside, f"{begin}Well < 5, {{\n{end}\n\n{text}")
        assert accepts(outside, text)
        assert not accepts(outside, f"{begin}Well{end}no")
        if answer_tags is not None:
            first, last = answer_tags
            assert accepts(outside, f"{begin}Well{end}\n{first}\n{text}\n{last}")
            assert not accepts(outside, f"{first}no{last}")
        inside = held(None, ToolRules(), answer, reasoning=reasoning, thinking=True)
        assert accepts(inside, f"Well.{end}{text}")
        assert not accepts(inside, text)
    call = CALLS["hermes"]
    assert accepts(held("hermes", reasoning=reasoning), f"{begin}Hm.{end}\n{call}")
    assert accepts(held("hermes", reasoning=reasoning, thinking=True), f"Hm.{end}\n{call}")


def test_harmony_thinks_in_messages() -> None:
    """Any number of analysis messages before the one that is held."""
    thought = "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant"
    answer = Constraint("json_object")
    only = held(None, ToolRules(), answer, reasoning="harmony")
    assert accepts(only, thought + thought + "<|channel|>final<|message|>{}")
    assert not accepts(only, thought + "{}")
    assert accepts(held("harmony", reasoning="harmony"), thought + CALLS["harmony"])


def test_another_format_within_harmony() -> None:
    """A template of that kind which knows no tools: calls are written where the answer is."""
    head = "<|channel|>final<|message|>"
    only = held("emulated", reasoning="harmony")
    assert accepts(only, head + CALLS["emulated"])
    assert not accepts(only, CALLS["emulated"])
    assert accepts(held("emulated", ToolRules(), reasoning="harmony"), head + "Hello")
    reader = AnswerReader(Reading("emulated", "harmony"), TOOLS)
    thought = "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant"
    pieces = reader.feed(thought + head + CALLS["emulated"]) + reader.finish(cut=False)
    assert joined(pieces) == ("", "Hm.", [("now", "{}")])


def test_arguments_that_nobody_named() -> None:
    """A schema that lists arguments allows those; one that allows more on purpose does."""
    listed = {"name": "f", "parameters": {"type": "object", "properties": {"a": {}}}}
    opened = {"name": "f", "parameters": listed["parameters"] | {"additionalProperties": True}}
    text = '<tool_call>\n{"name": "f", "arguments": {"b": 1}}\n</tool_call>'
    assert not accepts(held("hermes", functions=[listed]), text)
    assert accepts(held("hermes", functions=[opened]), text)


def test_strict_is_never_half_strict() -> None:
    """A keyword that cannot be enforced: refused where strict, let pass where not."""
    parameters = {"type": "object", "properties": {"a": {"not": {"type": "null"}}}}
    for strict in (True, False):
        function = {"name": "f", "strict": strict, "parameters": parameters}
        constraint = held("hermes", functions=[function])
        if strict:
            with pytest.raises(InvalidRequest) as caught:
                COMPILER.matcher(constraint)
            assert caught.value.param == "tools"
        else:
            COMPILER.matcher(constraint)
    for parameters in (
        {"type": "object", "properties": {"a": {"type": "string", "pattern": "x"}}},
        {"anyOf": [{"type": "object"}]},
    ):
        with pytest.raises(InvalidRequest):
            held("qwen3-coder", functions=[{"name": "f", "strict": True, "parameters": parameters}])
        held("qwen3-coder", functions=[{"name": "f", "parameters": parameters}])


def test_text_arguments_in_tags() -> None:
    """Anything up to the tag's end."""
    function = {"name": "f", "parameters": {"properties": {"a": {"type": "string"}}}}
    text = '<tool_call>\n<function=f>\n<parameter=a>\nx < 5 "\n\n</parameter>\n</function>\n'
    assert accepts(held("qwen3-coder", functions=[function]), text + "</tool_call>")
