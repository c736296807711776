"""Request fields that say which functions a model may call, and whether it must."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field

from tricorn.chat.tools.rules import ToolRules
from tricorn.schemas.constraints import tool_schema
from tricorn.schemas.fields import (
    Boolean,
    JsonObject,
    String,
    bad_value,
    inside,
    unsupported,
    wrong_type,
)
from tricorn.schemas.objects import OpenObject

MAX_TOOLS = 128

Mode = Literal["none", "auto", "required"]


def _parameters(value: object) -> object:
    if isinstance(value, dict) and value.get("type", "object") != "object":
        raise bad_value(f"a schema of type 'object' is expected, got {value['type']!r}")
    return value


class Function(OpenObject):
    name: String = Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")
    description: String | None = None
    parameters: (
        Annotated[JsonObject, BeforeValidator(_parameters), AfterValidator(tool_schema)] | None
    ) = None
    """A JSON schema; absent: it takes no arguments."""
    strict: Boolean = False
    """Calls are held to the schema even where the model chooses to call."""

    def openai_form(self) -> dict[str, Any]:
        """As templates take it, with what the worker has to know."""
        form: dict[str, Any] = {"name": self.name}
        if self.description is not None:
            form["description"] = self.description
        # Templates expect it to be there.
        form["parameters"] = self.parameters or {"type": "object", "properties": {}}
        if self.strict:
            form["strict"] = True
        return {"type": "function", "function": form}


def _function_only(value: object) -> object:
    if not isinstance(value, str):
        raise wrong_type("a string", value)
    if value != "function":
        raise unsupported(f"Tools of type '{value}' are not supported.")
    return value


FunctionType = Annotated[Literal["function"], BeforeValidator(_function_only)]


class Tool(OpenObject):
    type: FunctionType
    function: Function


class FunctionName(BaseModel):
    name: str


class NamedTool(BaseModel):
    type: Literal["function"] = "function"
    function: FunctionName


class SomeTools(BaseModel):
    mode: Literal["auto", "required"] = "auto"
    tools: list[NamedTool]


class AllowedTools(BaseModel):
    type: Literal["allowed_tools"]
    allowed_tools: SomeTools


class ToolChoice(BaseModel):
    """OpenAI's `tool_choice`, whichever way it was written."""

    mode: Mode
    names: list[str] | None = None
    """The tools that it allows; None: all."""
    single: bool = False
    """It names the one that is called, once."""


def _mode(value: object, known: Sequence[str]) -> Any:
    if value not in known:
        raise bad_value(f"must be one of {', '.join(known)}, got {value!r}")
    return value


def _named(value: object) -> str:
    """The name in `{"type": "function", "function": {"name": …}}`."""
    if not isinstance(value, dict):
        raise wrong_type("an object", value)
    _function_only(value.get("type", "function"))
    function = value.get("function")
    if not isinstance(function, dict):
        raise inside(wrong_type("an object", function), "function")
    if not isinstance(function.get("name"), str):
        raise inside(wrong_type("a string", function.get("name")), "function.name")
    return str(function["name"])


def _choice(value: object) -> object:
    if isinstance(value, str):
        return ToolChoice(mode=_mode(value, ("none", "auto", "required")))
    if not isinstance(value, dict):
        raise wrong_type("a string or an object", value)
    if value.get("type") != "allowed_tools":
        return ToolChoice(mode="required", names=[_named(value)], single=True)
    allowed = value.get("allowed_tools")
    if not isinstance(allowed, dict):
        raise inside(wrong_type("an object", allowed), "allowed_tools")
    tools = allowed.get("tools")
    if not isinstance(tools, list) or not tools:
        raise inside(bad_value("there must be at least one tool"), "allowed_tools.tools")
    mode = _mode(allowed.get("mode", "auto"), ("auto", "required"))
    return ToolChoice(mode=mode, names=[_named(tool) for tool in tools])


def _legacy_choice(value: object) -> object:
    if isinstance(value, str):
        return ToolChoice(mode=_mode(value, ("none", "auto")))
    if not isinstance(value, dict):
        raise wrong_type("a string or an object", value)
    if not isinstance(value.get("name"), str):
        raise inside(wrong_type("a string", value.get("name")), "name")
    return ToolChoice(mode="required", names=[value["name"]], single=True)


Tools = Annotated[list[Tool], Field(max_length=MAX_TOOLS)]
Functions = Annotated[list[Function], Field(max_length=MAX_TOOLS)]
Choice = Annotated[
    ToolChoice,
    BeforeValidator(_choice, json_schema_input_type=Mode | NamedTool | AllowedTools),
]
LegacyChoice = Annotated[
    ToolChoice,
    BeforeValidator(_legacy_choice, json_schema_input_type=Literal["none", "auto"] | FunctionName),
]


def rules(choice: ToolChoice | None, *, parallel: bool, param: str) -> ToolRules:
    """param: the field that the tools came in."""
    choice = choice or ToolChoice(mode="auto")
    return ToolRules(
        required=choice.mode == "required",
        only=None if choice.names is None else tuple(choice.names),
        parallel=parallel and not choice.single,
        param=param,
    )
