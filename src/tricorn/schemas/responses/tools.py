"""Tools of the Responses API: the same as chat completions', without the inner `function`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field, model_validator

from tricorn.schemas.fields import bad_value, inside, unsupported, wrong_type
from tricorn.schemas.tools import MAX_TOOLS, Function, Mode, ToolChoice

MODES = ("none", "auto", "required")


class ResponsesTool(Function):
    type: str

    @model_validator(mode="before")
    @classmethod
    def _functions_only(cls, value: object) -> object:
        if not isinstance(value, dict):
            raise wrong_type("an object", value)
        _check_type(value.get("type"))
        return value

    def unknown(self) -> list[str]:
        return [name for name in super().unknown() if name not in ("defer_loading", "async")]

    def listed(self) -> dict[str, Any]:
        """As the response repeats it."""
        return {
            "type": "function",
            "name": self.name,
            "description": self.description,
            "parameters": self.parameters,
            "strict": self.strict,
        }


class NamedTool(BaseModel):
    type: Literal["function"]
    name: str


class AllowedTools(BaseModel):
    type: Literal["allowed_tools"]
    mode: Literal["auto", "required"] = "auto"
    tools: list[NamedTool]


def _check_type(kind: object) -> None:
    if not isinstance(kind, str):
        raise inside(wrong_type("a string", kind), "type")
    if kind != "function":
        text = f"Tools of type '{kind}' are not supported; only functions are."
        raise inside(unsupported(text), "type")


def _choice(value: object) -> object:
    if isinstance(value, str):
        if value not in MODES:
            raise bad_value(f"must be one of {', '.join(MODES)}, got {value!r}")
        return ToolChoice.model_validate({"mode": value})
    if not isinstance(value, dict):
        raise wrong_type("a string or an object", value)
    if value.get("type") != "allowed_tools":
        return ToolChoice(mode="required", names=[_named(value)], single=True)
    tools, mode = value.get("tools"), value.get("mode", "auto")
    if not isinstance(tools, list) or not tools:
        raise inside(bad_value("there must be at least one tool"), "tools")
    if mode not in ("auto", "required"):
        raise inside(bad_value(f"must be one of auto, required, got {mode!r}"), "mode")
    return ToolChoice(mode=mode, names=[_named(tool) for tool in tools])


def _named(value: object) -> str:
    """The name in `{"type": "function", "name": …}`."""
    if not isinstance(value, dict):
        raise wrong_type("an object", value)
    _check_type(value.get("type"))
    if not isinstance(value.get("name"), str):
        raise inside(wrong_type("a string", value.get("name")), "name")
    return str(value["name"])


def listed_choice(choice: ToolChoice | None) -> str | dict[str, Any]:
    """As the response repeats it."""
    if choice is None:
        return "auto"
    if choice.names is None:
        return choice.mode
    functions = [{"type": "function", "name": name} for name in choice.names]
    if choice.single:
        return functions[0]
    return {"type": "allowed_tools", "mode": choice.mode, "tools": functions}


ResponsesTools = Annotated[list[ResponsesTool], Field(max_length=MAX_TOOLS)]
ResponsesChoice = Annotated[
    ToolChoice,
    BeforeValidator(_choice, json_schema_input_type=Mode | NamedTool | AllowedTools),
]
