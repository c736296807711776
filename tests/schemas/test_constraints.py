"""`response_format` and `structured_outputs`: what is taken, refused and handed to the engine."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tricorn.engines.base import Constraint
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
