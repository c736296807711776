"""Anthropic's `tools` and `tool_choice`."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

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
from tricorn.schemas.sampling import across
from tricorn.schemas.tools import ToolChoice, rules

MAX_TOOLS = 1024
_HINTS = {"cache_control", "eager_input_streaming"}
"""Arguments are streamed as they come, asked for or not."""
_MODES: dict[str, Literal["none", "auto", "required"]] = {
    "auto": "auto",
    "any": "required",
    "tool": "required",
    "none": "none",
}


def _custom_only(value: object) -> object:
    if not isinstance(value, str):
        raise wrong_type("a string", value)
    if value != "custom":
        raise unsupported(
            f"Tools of type '{value}' are not supported: this server runs no tools of its own. "
            "Describe one of yours by name and input_schema."
        )
    return value


def _input_schema(value: object) -> object:
    if isinstance(value, dict) and value.get("type", "object") != "object":
        raise bad_value(f"a schema of type 'object' is expected, got {value['type']!r}")
    return value


def _callers(value: object) -> object:
    if not isinstance(value, list):
        raise wrong_type("an array", value)
    if "direct" not in value:
        raise unsupported("Tools that only a program may call are not supported.")
    return value


class Tool(OpenObject):
    # First, for what is not a tool of the caller's has other fields too.
    type: Annotated[str, BeforeValidator(_custom_only)] = "custom"
    name: String = Field(pattern=r"^[A-Za-z0-9_-]{1,128}$")
    description: String | None = None
    input_schema: Annotated[JsonObject, BeforeValidator(_input_schema), AfterValidator(tool_schema)]
    strict: Boolean = False
    """Calls are held to the schema even where the model chooses to call."""
    input_examples: list[JsonObject] = []
    defer_loading: Boolean = False
    """The model is told of it once a result of a tool has named it."""
    allowed_callers: Annotated[list[Any], BeforeValidator(_callers)] = ["direct"]

    def openai_form(self) -> dict[str, Any]:
        form: dict[str, Any] = {"name": self.name}
        about = [self.description] if self.description else []
        if self.input_examples:
            examples = [json.dumps(example, ensure_ascii=False) for example in self.input_examples]
            about.append("Examples of its input:\n" + "\n".join(examples))
        if about:
            form["description"] = "\n\n".join(about)
        # Templates expect it to have properties.
        form["parameters"] = {"type": "object", "properties": {}, **self.input_schema}
        if self.strict:
            form["strict"] = True
        return {"type": "function", "function": form}

    def unknown(self) -> list[str]:
        return [name for name in super().unknown() if name not in _HINTS]


def _mode(value: object) -> object:
    if value not in _MODES:
        raise bad_value(f"must be one of {', '.join(_MODES)}, got {value!r}")
    return value


class Choice(OpenObject):
    type: Annotated[Literal["auto", "any", "tool", "none"], BeforeValidator(_mode)]
    name: String | None = None
    disable_parallel_tool_use: Boolean = False


def _choice(value: object) -> object:
    if not isinstance(value, dict):
        raise wrong_type("an object", value)
    if value.get("type") == "tool" and value.get("name") is None:
        raise inside(bad_value("it is needed with type 'tool'"), "name")
    if value.get("type") in ("auto", "any", "none") and value.get("name") is not None:
        raise inside(bad_value("it is only allowed with type 'tool'"), "name")
    return value


Tools = Annotated[list[Tool], Field(max_length=MAX_TOOLS)]
ToolChoiceField = Annotated[Choice, BeforeValidator(_choice)]


def check(tools: Sequence[Tool], choice: Choice | None) -> None:
    """PydanticCustomError where the fields do not agree."""
    names = [tool.name for tool in tools]
    known: set[str] = set()
    for number, name in enumerate(names):
        if name in known:
            raise across(f"tools[{number}].name", f"there is another tool named '{name}'")
        known.add(name)
    if tools and all(tool.defer_loading for tool in tools):
        raise across("tools[0].defer_loading", "at least one tool must not be deferred")
    if choice is None:
        return
    if choice.type in ("any", "tool") and not tools:
        raise across("tool_choice", "it is only allowed when 'tools' are given")
    if choice.name is not None and choice.name not in known:
        raise across("tool_choice.name", f"there is no tool named '{choice.name}' in 'tools'")


def offered(
    tools: Sequence[Tool], choice: Choice | None, found: Collection[str]
) -> list[dict[str, Any]]:
    """What the model is told of, in OpenAI's shape. found: deferred ones that are loaded now."""
    if choice is not None and choice.type == "none":
        return []
    wanted = {*found, choice.name if choice else None}
    return [tool.openai_form() for tool in tools if not tool.defer_loading or tool.name in wanted]


def tool_rules(choice: Choice | None) -> ToolRules:
    if choice is None:
        return ToolRules()
    names = None if choice.name is None else [choice.name]
    common = ToolChoice(mode=_MODES[choice.type], names=names, single=names is not None)
    return rules(common, parallel=not choice.disable_parallel_tool_use, param="tools")
