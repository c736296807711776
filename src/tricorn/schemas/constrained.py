"""Every way to say in a request what its answer must look like; at most one of them at a time."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import BaseModel, BeforeValidator, model_validator

from tricorn.engines.request import Constraint, ConstraintKind
from tricorn.schemas.cells import Needs, Within, Without
from tricorn.schemas.constraints import (
    NOT_DONE,
    Choices,
    Grammar,
    Regex,
    ResponseFormat,
    Schema,
    StructuredOutputs,
    grammar_text,
)
from tricorn.schemas.fields import across

_HELD = Needs("constraints")
_FREE = Needs("constraints", ({"type": "text"},))
_HELD_OR_NOT = Needs("constraints", ("",))
_PARTS = Within({name: Without() for name in NOT_DONE})


def _some_text(value: object) -> str | None:
    """llama-server's clients send an empty grammar for none."""
    return None if value == "" else grammar_text(value)


class ConstraintFields(BaseModel):
    """A part of a request model."""

    response_format: Annotated[ResponseFormat | None, _FREE] = None

    # vLLM's, and its older names for the same
    structured_outputs: Annotated[StructuredOutputs | None, _HELD, _PARTS] = None
    guided_json: Annotated[Schema | None, _HELD] = None
    guided_regex: Annotated[Regex | None, _HELD] = None
    guided_choice: Annotated[Choices | None, _HELD] = None
    guided_grammar: Annotated[Grammar | None, _HELD] = None

    # llama-server's
    grammar: Annotated[str | None, BeforeValidator(_some_text), _HELD_OR_NOT] = None
    json_schema: Annotated[Schema | None, _HELD] = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        match self._constraints():
            case [first, (second, _), *_]:
                raise across(second, f"it cannot be combined with '{first[0]}'")
        return self

    def constraint(self) -> Constraint | None:
        """What the answer must look like; None: like anything."""
        return next((constraint for _, constraint in self._constraints()), None)

    def _constraints(self) -> list[tuple[str, Constraint]]:
        """Those that are given, each with its field."""
        given: list[tuple[str, Constraint]] = []
        if self.response_format and (form := self.response_format.constraint()):
            given.append(("response_format", form))
        if self.structured_outputs:
            given.append(("structured_outputs", self.structured_outputs.constraint()))
        plain: list[tuple[str, ConstraintKind]] = [
            ("guided_json", "json_schema"),
            ("guided_regex", "regex"),
            ("guided_choice", "choice"),
            ("guided_grammar", "grammar"),
            ("grammar", "grammar"),
            ("json_schema", "json_schema"),
        ]
        for field, kind in plain:
            if (value := getattr(self, field)) is not None:
                given.append((field, Constraint(kind, value, field)))
        return given

    def unknown_in_constraints(self) -> list[str]:
        """As `RequestModel.unknown_inside`, of these fields."""
        found: list[str] = []
        for field in ("response_format", "structured_outputs"):
            value = getattr(self, field)
            found += [f"{field}.{name}" for name in value.unknown()] if value else []
        return found
