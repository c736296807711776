"""Chat messages as Ollama has them, and as a chat template takes them.

Ollama's calls need no ids: a result says by its tool's name, or by its place alone, which call it
belongs to. Templates and engines want ids, so they are given here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from tricorn.schemas.fields import (
    Integer,
    JsonObject,
    String,
    bad_value,
    inside,
    unsupported,
    wrong_type,
)
from tricorn.schemas.objects import OpenObject

ROLES = ("system", "user", "assistant", "tool")


def _role(value: object) -> str:
    if not isinstance(value, str):
        raise wrong_type("a string", value)
    if value not in ROLES:
        raise bad_value(f"'{value}' is not one of {', '.join(ROLES)}")
    return value


class CalledFunction(OpenObject):
    name: String = Field(min_length=1)
    arguments: JsonObject = {}
    index: Integer | None = None
    """A hint: calls are in order."""


class ToolCall(OpenObject):
    id: String | None = None
    type: String | None = None
    function: CalledFunction


class Message(OpenObject):
    role: Annotated[
        str,
        BeforeValidator(
            _role, json_schema_input_type=Literal["system", "user", "assistant", "tool"]
        ),
    ]
    content: String = ""
    thinking: String | None = None
    images: list[String] = []
    """Base64."""
    tool_calls: list[ToolCall] = []
    tool_name: String | None = None
    name: String | None = None
    """An older name for `tool_name`."""
    tool_call_id: String | None = None

    @model_validator(mode="after")
    def _what_its_role_may_have(self) -> Self:
        if self.images and self.role != "user":
            raise inside(
                unsupported("Images are only supported in messages of the user."), "images"
            )
        for name in ("thinking", "tool_calls"):
            if getattr(self, name) and self.role != "assistant":
                raise inside(bad_value("only messages of the assistant have it"), name)
        return self

    @property
    def answers(self) -> str | None:
        """A tool's message: the tool that it comes from, where that is told."""
        return self.tool_name or self.name

    def unknown_paths(self) -> list[str]:
        found = self.unknown()
        for position, call in enumerate(self.tool_calls):
            where = f"tool_calls[{position}]"
            found += [f"{where}.{name}" for name in call.unknown()]
            found += [f"{where}.function.{name}" for name in call.function.unknown()]
        return found


def template_forms(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """The messages in the shape of `ChatPrompt`."""
    ids = _Ids()
    return [_form(message, ids) for message in messages]


def content_with_images(text: str, images: int) -> str | list[dict[str, str]]:
    """What `ChatPrompt` has in place of a message's text where there are images before it."""
    if not images:
        return text
    parts = [{"type": "image"} for _ in range(images)]
    return [*parts, {"type": "text", "text": text}]


def image_urls(images: Sequence[str], path: str) -> Iterator[tuple[str, str]]:
    """(path in the request, data URL) of each."""
    for position, image in enumerate(images):
        url = image if image[:5].lower() == "data:" else f"data:;base64,{image}"
        yield f"{path}[{position}]", url


class _Ids:
    """The ids of calls, which a conversation's results are matched with in order."""

    def __init__(self) -> None:
        self._calls = 0
        self._open: list[tuple[str, str]] = []
        """(id, tool) of those without a result."""

    def of_call(self, call: ToolCall) -> str:
        self._calls += 1
        call_id = call.id or f"call_{self._calls}"
        self._open.append((call_id, call.function.name))
        return call_id

    def of_result(self, message: Message) -> str:
        named = message.answers
        for position, (call_id, tool) in enumerate(self._open):
            if message.tool_call_id == call_id or (
                message.tool_call_id is None and named in (None, tool)
            ):
                del self._open[position]
                return call_id
        # Ollama takes results of calls that it was never told of.
        self._calls += 1
        return message.tool_call_id or f"call_{self._calls}"


def _form(message: Message, ids: _Ids) -> dict[str, Any]:
    form: dict[str, Any] = {"role": message.role, "content": message.content}
    match message.role:
        case "user":
            form["content"] = content_with_images(message.content, len(message.images))
        case "assistant":
            if message.thinking:
                form["reasoning_content"] = message.thinking
            if message.tool_calls:
                form["content"] = message.content or None
                form["tool_calls"] = [_call(call, ids) for call in message.tool_calls]
        case "tool":
            form["tool_call_id"] = ids.of_result(message)
            if message.answers:
                form["name"] = message.answers
    return form


def _call(call: ToolCall, ids: _Ids) -> dict[str, Any]:
    arguments = json.dumps(call.function.arguments, ensure_ascii=False)
    function = {"name": call.function.name, "arguments": arguments}
    return {"id": ids.of_call(call), "type": "function", "function": function}
