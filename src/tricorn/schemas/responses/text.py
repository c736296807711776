"""`text` and `reasoning` of the Responses API: what an answer looks like, and what it costs."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from tricorn.engines.request import Constraint
from tricorn.schemas.constraints import FORMATS, Schema
from tricorn.schemas.fields import Boolean, String, bad_value, inside, one_of, unsupported
from tricorn.schemas.objects import OpenObject
from tricorn.schemas.reasoning import Effort, Verbosity

SUMMARIES = ("auto", "concise", "detailed")
CONTEXTS = ("auto", "current_turn", "all_turns")
_OF_SCHEMAS = ("name", "description", "schema", "strict")


class TextFormat(OpenObject):
    """As chat completions' `response_format`, without the inner `json_schema`."""

    type: Annotated[Literal["text", "json_object", "json_schema"], one_of(FORMATS)]
    name: String | None = Field(None, pattern=r"^[A-Za-z0-9_-]{1,64}$")
    description: String | None = None
    schema_: Schema | None = Field(None, alias="schema")
    strict: Boolean = False
    """An answer follows the schema with and without."""

    @model_validator(mode="after")
    def _schema_where_it_belongs(self) -> Self:
        if self.type == "json_schema":
            for name, value in (("name", self.name), ("schema", self.schema_)):
                if value is None:
                    raise inside(PydanticCustomError("missing", "missing"), name)
        else:
            given = {"schema" if name == "schema_" else name for name in self.model_fields_set}
            for name in _OF_SCHEMAS:
                if name in given:
                    raise inside(bad_value("it is only allowed with type 'json_schema'"), name)
        return self

    def constraint(self) -> Constraint | None:
        """None for plain text."""
        match self.type:
            case "text":
                return None
            case "json_object":
                return Constraint("json_object", param="text.format")
            case "json_schema":
                assert self.schema_ is not None
                return Constraint("json_schema", self.schema_, "text.format")

    def listed(self) -> dict[str, Any]:
        """As the response repeats it."""
        if self.schema_ is None:
            return {"type": self.type}
        return {
            "type": self.type,
            "name": self.name,
            "description": self.description,
            "schema": json.loads(self.schema_),
            "strict": self.strict,
        }


class TextConfig(OpenObject):
    format: TextFormat | None = None
    verbosity: Verbosity | None = None

    def unknown(self) -> list[str]:
        within = self.format.unknown() if self.format else []
        return super().unknown() + [f"format.{name}" for name in within]

    def constraint(self) -> Constraint | None:
        return self.format.constraint() if self.format else None

    def listed(self) -> dict[str, Any]:
        """As the response repeats it."""
        form = self.format.listed() if self.format else {"type": "text"}
        return {"format": form, "verbosity": self.verbosity or "medium"}


class ReasoningConfig(OpenObject):
    effort: Effort | None = None
    summary: Annotated[str, one_of(SUMMARIES)] | None = None
    """A hint: thoughts are given as they are, and nobody summarises them."""
    generate_summary: Annotated[str, one_of(SUMMARIES)] | None = None
    """Its older name."""
    context: Annotated[str, one_of(CONTEXTS)] | None = None
    """A hint: which thoughts of earlier turns a model is shown, its template decides."""
    mode: String | None = None

    @model_validator(mode="after")
    def _standard_mode_only(self) -> Self:
        if self.mode not in (None, "standard"):
            raise inside(
                unsupported("'reasoning.mode' other than 'standard' is not known."), "mode"
            )
        return self

    def listed(self) -> dict[str, Any]:
        """As the response repeats it."""
        return {"effort": self.effort, "summary": self.summary or self.generate_summary}
