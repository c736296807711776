"""`response_format` and `structured_outputs`: what is taken, refused and handed to the engine."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest

from tricorn.engines.request import Constraint
from tricorn.errors import InvalidRequest, UnsupportedParameter
from tricorn.schemas.chat import ChatRequest
from tricorn.schemas.completions import CompletionRequest
from tricorn.schemas.constraints import MAX_CHOICES, MAX_SCHEMA, MAX_TEXT

CHAT = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
COMPLETION = {"model": "m", "prompt": "Hi"}
SCHEMA = {"type": "object", "properties": {"b": {"type": "string"}, "a": {"const": "é"}}}
TEXT = '{"type":"object","properties":{"b":{"type":"string"},"a":{"const":"é"}}}'


def json_schema(**fields: Any) -> dict[str, Any]:
    given = {"name": "n", "schema": SCHEMA} | fields
    return {"type": "json_schema", "json_schema": {k: v for k, v in given.items() if v != "-"}}


def constraint(**fields: Any) -> Constraint | None:
    """What both routes make of the same fields."""
    chat = ChatRequest.parse(CHAT | fields)[0].sampling().constraint
    assert CompletionRequest.parse(COMPLETION | fields)[0].sampling().constraint == chat
    return chat


@pytest.mark.parametrize(
    ("format", "expected"),
    [
        (None, None),
        ({"type": "text"}, None),
        ({"type": "json_object"}, Constraint("json_object")),
        (json_schema(), Constraint("json_schema", TEXT)),
        (json_schema(strict=True, description="d"), Constraint("json_schema", TEXT)),
        (json_schema(strict=None), Constraint("json_schema", TEXT)),
    ],
)
def test_response_format(format: object, expected: Constraint | None) -> None:
    """Enforced with and without `strict`; a schema keeps the order of its properties."""
    assert constraint(response_format=format) == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"json": SCHEMA}, Constraint("json_schema", TEXT, "structured_outputs.json")),
        (
            {"json": json.dumps(SCHEMA)},
            Constraint("json_schema", TEXT, "structured_outputs.json"),
        ),
        ({"regex": "a+"}, Constraint("regex", "a+", "structured_outputs.regex")),
        ({"choice": ["a", "é"]}, Constraint("choice", '["a", "é"]', "structured_outputs.choice")),
        (
            {"grammar": "root ::= [a]"},
            Constraint("grammar", "root ::= [a]", "structured_outputs.grammar"),
        ),
        ({"json_object": True}, Constraint("json_object", "", "structured_outputs.json_object")),
        (
            {"regex": "a", "json": None, "json_object": False, "disable_any_whitespace": False},
            Constraint("regex", "a", "structured_outputs.regex"),
        ),
    ],
)
def test_structured_outputs(given: dict[str, Any], expected: Constraint) -> None:
    """One of vLLM's ways to say it; nulls and what is false ask for nothing."""
    assert constraint(structured_outputs=given) == expected
    assert constraint(structured_outputs=given, response_format={"type": "text"}) == expected


WAYS: dict[str, tuple[Any, Constraint]] = {
    "response_format": (json_schema(), Constraint("json_schema", TEXT)),
    "structured_outputs": ({"regex": "a"}, Constraint("regex", "a", "structured_outputs.regex")),
    "guided_json": (SCHEMA, Constraint("json_schema", TEXT, "guided_json")),
    "guided_regex": ("a+", Constraint("regex", "a+", "guided_regex")),
    "guided_choice": (["a", "é"], Constraint("choice", '["a", "é"]', "guided_choice")),
    "guided_grammar": ("root ::= [a]", Constraint("grammar", "root ::= [a]", "guided_grammar")),
    "grammar": ("root ::= [a]", Constraint("grammar", "root ::= [a]", "grammar")),
    "json_schema": (SCHEMA, Constraint("json_schema", TEXT, "json_schema")),
}
"""Field → a value and what it comes to."""


@pytest.mark.parametrize("field", WAYS)
def test_every_way_to_say_it(field: str) -> None:
    """OpenAI's, vLLM's new and old names, llama-server's: all are enforced."""
    value, expected = WAYS[field]
    assert constraint(**{field: value}) == expected


def test_other_forms() -> None:
    """A schema may come as JSON text; an empty grammar is none."""
    assert constraint(guided_json=json.dumps(SCHEMA)) == WAYS["guided_json"][1]
    assert constraint(grammar="") is None
    assert constraint(grammar="", guided_regex="a+") == WAYS["guided_regex"][1]


@pytest.mark.parametrize(("first", "second"), [*itertools.combinations(WAYS, 2)])
def test_two_ways_at_once(first: str, second: str) -> None:
    """400 that names both, for no answer can be meant by it."""
    with pytest.raises(InvalidRequest) as caught:
        ChatRequest.parse(CHAT | {second: WAYS[second][0], first: WAYS[first][0]})
    assert caught.value.param == second
    assert f"'{first}'" in caught.value.message


DEEP: Any = {}
for _ in range(100):
    DEEP = {"items": DEEP}


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"response_format": "json_object"}, "response_format"),
        ({"response_format": {}}, "response_format.type"),
        ({"response_format": {"type": 1}}, "response_format.type"),
        ({"response_format": {"type": "xml"}}, "response_format.type"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
        (
            {"response_format": {**json_schema(), "type": "json_object"}},
            "response_format.json_schema",
        ),
        ({"response_format": json_schema(name="-")}, "response_format.json_schema.name"),
        ({"response_format": json_schema(name="a b")}, "response_format.json_schema.name"),
        ({"response_format": json_schema(schema="-")}, "response_format.json_schema.schema"),
        ({"response_format": json_schema(schema=[])}, "response_format.json_schema.schema"),
        ({"response_format": json_schema(schema=DEEP)}, "response_format.json_schema.schema"),
        (
            {"response_format": json_schema(schema={"title": "x" * MAX_SCHEMA})},
            "response_format.json_schema.schema",
        ),
        ({"response_format": json_schema(strict="yes")}, "response_format.json_schema.strict"),
        ({"structured_outputs": "a+"}, "structured_outputs"),
        ({"structured_outputs": {}}, "structured_outputs"),
        ({"structured_outputs": {"json_object": False}}, "structured_outputs"),
        ({"structured_outputs": {"regex": "a", "choice": ["a"]}}, "structured_outputs"),
        ({"structured_outputs": {"json": "{"}}, "structured_outputs.json"),
        ({"structured_outputs": {"json": "[" * 100_000}}, "structured_outputs.json"),
        ({"structured_outputs": {"json": "5"}}, "structured_outputs.json"),
        ({"guided_regex": ""}, "guided_regex"),
        ({"guided_choice": []}, "guided_choice"),
        ({"guided_json": "{"}, "guided_json"),
        ({"guided_grammar": 1}, "guided_grammar"),
        ({"grammar": 1}, "grammar"),
        ({"json_schema": []}, "json_schema"),
        ({"structured_outputs": {"regex": ""}}, "structured_outputs.regex"),
        ({"structured_outputs": {"regex": 5}}, "structured_outputs.regex"),
        ({"structured_outputs": {"grammar": "x" * (MAX_TEXT + 1)}}, "structured_outputs.grammar"),
        ({"structured_outputs": {"choice": []}}, "structured_outputs.choice"),
        ({"structured_outputs": {"choice": ["a", ""]}}, "structured_outputs.choice"),
        ({"structured_outputs": {"choice": ["a", 1]}}, "structured_outputs.choice"),
        (
            {"structured_outputs": {"choice": ["a"] * (MAX_CHOICES + 1)}},
            "structured_outputs.choice",
        ),
        (
            {"structured_outputs": {"regex": "a"}, "response_format": {"type": "json_object"}},
            "structured_outputs",
        ),
    ],
)
def test_invalid(fields: dict[str, Any], param: str) -> None:
    """400 that names the field, down to the part of it."""
    for kind, body in ((ChatRequest, CHAT), (CompletionRequest, COMPLETION)):
        with pytest.raises(InvalidRequest) as caught:
            kind.parse(body | fields)
        assert caught.value.param == param
        assert f"'{param}'" in caught.value.message


@pytest.mark.parametrize("name", ["structural_tag", "whitespace_pattern", "disable_any_whitespace"])
def test_unsupported_parts(name: str) -> None:
    """What would change the answer and is not done is not passed over in silence."""
    with pytest.raises(UnsupportedParameter) as caught:
        ChatRequest.parse(CHAT | {"structured_outputs": {"regex": "a", name: "x"}})
    assert caught.value.param == f"structured_outputs.{name}"


def test_unknown_parts_are_reported() -> None:
    """By their path, as all fields that nobody knows."""
    fields = {"response_format": json_schema(mood="good") | {"colour": 1}}
    assert ChatRequest.parse(CHAT | fields)[1] == [
        "response_format.colour",
        "response_format.json_schema.mood",
    ]
    fields = {"structured_outputs": {"regex": "a", "mood": 1}}
    assert ChatRequest.parse(CHAT | fields)[1] == ["structured_outputs.mood"]
