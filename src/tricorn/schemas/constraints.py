"""Request fields that say what an answer must look like: OpenAI's `response_format`, and vLLM's
`structured_outputs` for what OpenAI has no name for.

Whether a schema, an expression or a grammar can be enforced is known to the engine alone; here is
checked what needs no engine.
"""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal, Self

import orjson
from pydantic import BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from tricorn.engines.request import Constraint, ConstraintKind
from tricorn.schemas import constraint_cost
from tricorn.schemas.fields import (
    MAX_NESTING,
    Boolean,
    String,
    bad_value,
    deeper_than,
    inside,
    unsupported,
    wrong_type,
)
from tricorn.schemas.objects import OpenObject

MAX_SCHEMA = 131_072
"""Characters of a schema as compact JSON; about what OpenAI allows."""
MAX_TEXT = 65_536
"""Characters of an expression, a grammar or all choices; what takes long to compile is longer."""
MAX_CHOICES = 1000

FORMATS = ("text", "json_object", "json_schema")

NOT_DONE = (
    "structural_tag",
    "whitespace_pattern",
    "disable_any_whitespace",
    "disable_additional_properties",
    "disable_fallback",
)
"""Fields of vLLM's `structured_outputs` that would change the answer."""


def _format(value: object) -> str:
    if not isinstance(value, str):
        raise wrong_type("a string", value)
    if value not in FORMATS:
        raise bad_value(f"must be one of {', '.join(FORMATS)}, got {value!r}")
    return value


def schema_text(value: object) -> str:
    """A schema, or its JSON text, as compact JSON text; the order of its properties is kept."""
    if isinstance(value, str):
        try:
            value = orjson.loads(value)
        except ValueError as error:
            raise bad_value(f"is no JSON: {error}") from error
    if not isinstance(value, dict):
        raise wrong_type("a JSON schema as an object", value)
    if deeper_than(value, MAX_NESTING):
        raise _too_deep()
    text = _limited(json.dumps(value, ensure_ascii=False, separators=(",", ":")), MAX_SCHEMA)
    constraint_cost.check_schema(value)
    return text


def tool_schema(value: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a tool, bounded as other schemas are, whether they are held to it or not."""
    schema_text(value)
    return value


def _too_deep() -> PydanticCustomError:
    return bad_value(f"is nested more than {MAX_NESTING} levels deep")


def given_text(value: object) -> str:
    if not isinstance(value, str):
        raise wrong_type("a string", value)
    if not value:
        raise bad_value("cannot be empty")
    return _limited(value, MAX_TEXT)


def regex_text(value: object) -> str:
    text = given_text(value)
    constraint_cost.check_regex(text)
    return text


def grammar_text(value: object) -> str:
    text = given_text(value)
    constraint_cost.check_grammar(text)
    return text


def _limited(text: str, limit: int) -> str:
    if len(text) > limit:
        raise bad_value(f"at most {limit} characters, got {len(text)}")
    return text


def _choices(value: object) -> str:
    """As JSON text."""
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise wrong_type("an array of strings", value)
    if not value or not all(value):
        raise bad_value("there must be at least one choice, and none may be empty")
    if len(value) > MAX_CHOICES:
        raise bad_value(f"at most {MAX_CHOICES} choices, got {len(value)}")
    return _limited(json.dumps(value, ensure_ascii=False), MAX_TEXT)


Schema = Annotated[str, BeforeValidator(schema_text, json_schema_input_type=dict[str, Any] | str)]
Regex = Annotated[str, BeforeValidator(regex_text)]
Grammar = Annotated[str, BeforeValidator(grammar_text)]
Choices = Annotated[str, BeforeValidator(_choices, json_schema_input_type=list[str])]


class JsonSchema(OpenObject):
    name: String = Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")
    """Asked for by OpenAI; it has no influence on the answer."""
    description: String | None = None
    schema_: Schema = Field(alias="schema")
    strict: Boolean = False
    """An answer follows the schema with and without."""


class ResponseFormat(OpenObject):
    type: Annotated[Literal["text", "json_object", "json_schema"], BeforeValidator(_format)]
    json_schema: JsonSchema | None = None

    @model_validator(mode="after")
    def _schema_where_it_belongs(self) -> Self:
        if self.type == "json_schema" and self.json_schema is None:
            raise inside(PydanticCustomError("missing", "missing"), "json_schema")
        if self.type != "json_schema" and self.json_schema is not None:
            raise inside(bad_value("it is only allowed with type 'json_schema'"), "json_schema")
        return self

    def constraint(self) -> Constraint | None:
        """None for plain text."""
        match self.type:
            case "text":
                return None
            case "json_object":
                return Constraint("json_object")
            case "json_schema":
                assert self.json_schema is not None
                return Constraint("json_schema", self.json_schema.schema_)

    def unknown(self) -> list[str]:
        within = self.json_schema.unknown() if self.json_schema else []
        return super().unknown() + [f"json_schema.{name}" for name in within]


class StructuredOutputs(OpenObject):
    json_: Schema | None = Field(None, alias="json")
    regex: Regex | None = None
    choice: Choices | None = None
    grammar: Grammar | None = None
    """In Lark's notation, or llama.cpp's (GBNF)."""
    json_object: Boolean = False

    @model_validator(mode="before")
    @classmethod
    def _nothing_that_is_not_done(cls, value: object) -> object:
        if isinstance(value, dict):
            for name in NOT_DONE:
                if value.get(name) not in (None, False):
                    text = f"'structured_outputs.{name}' is not supported."
                    raise inside(unsupported(text), name)
        return value

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        given = self._given()
        if len(given) != 1:
            names = " and ".join(name for name, _, _ in given) or "none"
            raise bad_value(
                "exactly one of json, regex, choice, grammar and json_object must be given, "
                f"got {names}"
            )
        return self

    def _given(self) -> list[tuple[str, ConstraintKind, str]]:
        every: list[tuple[str, ConstraintKind, str | None]] = [
            ("json", "json_schema", self.json_),
            ("regex", "regex", self.regex),
            ("choice", "choice", self.choice),
            ("grammar", "grammar", self.grammar),
            ("json_object", "json_object", "" if self.json_object else None),
        ]
        return [(name, kind, value) for name, kind, value in every if value is not None]

    def constraint(self) -> Constraint:
        ((name, kind, value),) = self._given()
        return Constraint(kind, value, f"structured_outputs.{name}")
