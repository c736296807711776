"""Anthropic's `thinking`, `output_config` and `context_management`."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from tricorn.engines.request import Constraint
from tricorn.schemas.constraints import Schema
from tricorn.schemas.fields import Integer, bad_value, inside, to_int, unsupported, wrong_type
from tricorn.schemas.objects import OpenObject
from tricorn.schemas.reasoning import Effort, thinking_variables

_THINKING = ("enabled", "adaptive", "disabled")


def _thinking_type(value: object) -> object:
    if value == "between_tools":
        raise unsupported("Thinking of type 'between_tools' is not supported.")
    if value not in _THINKING:
        raise bad_value(f"must be one of {', '.join(_THINKING)}, got {value!r}")
    return value


class Thinking(OpenObject):
    type: Annotated[Literal["enabled", "adaptive", "disabled"], BeforeValidator(_thinking_type)]
    budget_tokens: Integer | None = Field(None, ge=1, lt=2**31)
    display: Literal["summarized", "omitted"] = "summarized"
    """Thoughts are shown as they are, or not at all."""

    @model_validator(mode="after")
    def _budget_where_it_belongs(self) -> Self:
        if self.type == "enabled" and self.budget_tokens is None:
            raise inside(PydanticCustomError("missing", "missing"), "budget_tokens")
        if self.type != "enabled" and self.budget_tokens is not None:
            raise inside(bad_value("it is only allowed with type 'enabled'"), "budget_tokens")
        return self


def _json_schema_only(value: object) -> object:
    if value != "json_schema":
        raise bad_value(f"must be json_schema, got {value!r}")
    return value


class OutputFormat(OpenObject):
    type: Annotated[Literal["json_schema"], BeforeValidator(_json_schema_only)]
    schema_: Schema = Field(alias="schema")

    def constraint(self, param: str) -> Constraint:
        return Constraint("json_schema", self.schema_, param)


class OutputConfig(OpenObject):
    effort: Effort | None = None
    """A hint: which of them make a difference is up to the model's template."""
    format: OutputFormat | None = None

    @model_validator(mode="before")
    @classmethod
    def _nothing_that_is_not_done(cls, value: object) -> object:
        if isinstance(value, dict) and value.get("task_budget") is not None:
            text = "'output_config.task_budget' is not supported."
            raise inside(unsupported(text), "task_budget")
        return value

    def unknown(self) -> list[str]:
        within = self.format.unknown() if self.format else []
        return super().unknown() + [f"format.{name}" for name in within]


def template_variables(thinking: Thinking | None, effort: str | None) -> dict[str, Any]:
    """For the chat template. Effort is not about thoughts alone: it turns them neither on nor
    off."""
    switch = None if thinking is None else thinking.type != "disabled"
    budget = None if thinking is None else thinking.budget_tokens
    variables = thinking_variables(None, switch, {}, budget=budget)
    return variables if effort is None else {**variables, "reasoning_effort": effort}


def thoughts_kept(context_management: dict[str, Any]) -> int | None:
    """In how many of the assistant's last turns; None: in all. Every edit but the one of thoughts
    is refused."""
    kept: int | None = None
    for name, value in context_management.items():
        if name != "edits" and value not in (None, [], {}):
            raise inside(unsupported(f"'context_management.{name}' is not supported."), name)
    edits = context_management.get("edits") or []
    if not isinstance(edits, list):
        raise inside(wrong_type("an array", edits), "edits")
    for position, edit in enumerate(edits):
        try:
            kept = _edit(edit)
        except PydanticCustomError as error:
            raise inside(inside(error, position), "edits") from error
    return kept


def _edit(edit: object) -> int | None:
    if not isinstance(edit, dict):
        raise wrong_type("an object", edit)
    kind = edit.get("type")
    if kind != "clear_thinking_20251015":
        raise inside(unsupported(f"Edits of type {kind!r} are not supported."), "type")
    match edit.get("keep", 1):
        case "all" | {"type": "all"}:
            return None
        case {"type": "thinking_turns", "value": value} | (int() as value):
            turns = to_int(value)
            if turns < 1:
                raise inside(bad_value("at least one turn must be kept"), "keep")
            return turns
        case other:
            raise inside(bad_value(f"cannot be {other!r}"), "keep")


def _context_management(value: object) -> object:
    if not isinstance(value, dict):
        raise wrong_type("an object", value)
    thoughts_kept(value)
    return value


ContextManagement = Annotated[dict[str, Any], BeforeValidator(_context_management)]
