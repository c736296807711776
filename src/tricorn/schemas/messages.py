"""Chat messages: one model a role, content reduced to the text that a template takes."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    model_validator,
)

from tricorn.schemas.fields import (
    String,
    bad_value,
    inside,
    unsupported,
    without_nulls,
    wrong_type,
)
from tricorn.schemas.request import TAG

ROLES = ("system", "developer", "user", "assistant", "tool")

_FOREIGN_PARTS = {"image_url", "input_audio", "file", "video_url", "audio_url"}
_HINTS = {"annotations"}
"""Message fields that clients send back as they got them and that say nothing to a template."""


def _text(value: object) -> str:
    """A string, or the text of an array of text parts joined by line ends."""
    if isinstance(value, str):
        return value
    if not isinstance(value, list):
        raise wrong_type("a string or an array of content parts", value)
    if not value:
        raise bad_value("an array of content parts cannot be empty")
    return "\n".join(_part(position, part) for position, part in enumerate(value))


def _part(position: int, part: object) -> str:
    if not isinstance(part, dict):
        raise inside(wrong_type("an object", part), position)
    kind = part.get("type")
    if kind in _FOREIGN_PARTS:
        raise inside(unsupported(f"Content parts of type '{kind}' are not supported."), position)
    if kind not in ("text", "refusal"):
        raise inside(bad_value(f"unknown content part type {kind!r}; known is text"), position)
    text = part.get(kind)
    if not isinstance(text, str):
        raise inside(wrong_type(f"a string in '{kind}'", text), position)
    return text


Content = Annotated[str, BeforeValidator(_text)]


class _Object(BaseModel):
    model_config = ConfigDict(extra="allow")

    @model_validator(mode="before")
    @classmethod
    def _nulls_are_absent(cls, value: object) -> object:
        return without_nulls(value)


class FunctionCall(_Object):
    name: String = Field(min_length=1)
    arguments: String
    """JSON in a string, as the model wrote it."""


def _function_only(value: object) -> str:
    if value != "function":
        raise unsupported(f"Tool calls of type {value!r} are not supported.")
    return "function"


class ToolCall(_Object):
    id: String
    type: Annotated[str, BeforeValidator(_function_only)] = "function"
    function: FunctionCall


class _Message(_Object):
    def template_form(self) -> dict[str, Any]:
        """As the model's chat template takes it."""
        raise AssertionError("every role has its own form")

    def unknown(self) -> list[str]:
        return [name for name in (self.model_extra or {}) if name not in _HINTS]


class SystemMessage(_Message):
    role: Literal["system", "developer"]
    content: Content
    name: String | None = None

    def template_form(self) -> dict[str, Any]:
        # "developer" is what newer OpenAI models call it; templates know "system".
        return _named({"role": "system", "content": self.content}, self.name)


class UserMessage(_Message):
    role: Literal["user"]
    content: Content
    name: String | None = None

    def template_form(self) -> dict[str, Any]:
        return _named({"role": "user", "content": self.content}, self.name)


class AssistantMessage(_Message):
    role: Literal["assistant"]
    content: Content | None = None
    name: String | None = None
    refusal: String | None = None
    reasoning_content: String | None = None
    reasoning: String | None = None
    """Another server's name for `reasoning_content`."""
    tool_calls: list[ToolCall] | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        extra = self.model_extra or {}
        for name in ("function_call", "audio"):
            if name in extra:
                raise inside(unsupported(f"'{name}' in a message is not supported."), name)
        if self.content is None and not self.tool_calls and self.refusal is None:
            raise inside(bad_value("may be null only in a message with tool_calls"), "content")
        return self

    def template_form(self) -> dict[str, Any]:
        form: dict[str, Any] = {"role": "assistant", "content": self.content}
        if self.content is None and self.refusal is not None:
            form["content"] = self.refusal
        reasoning = self.reasoning_content or self.reasoning
        if reasoning is not None:
            form["reasoning_content"] = reasoning
        if self.tool_calls:
            form["tool_calls"] = [
                {
                    "id": call.id,
                    "type": "function",
                    "function": {
                        "name": call.function.name,
                        "arguments": call.function.arguments,
                    },
                }
                for call in self.tool_calls
            ]
        return _named(form, self.name)


class ToolMessage(_Message):
    role: Literal["tool"]
    content: Content
    tool_call_id: String
    name: String | None = None

    def template_form(self) -> dict[str, Any]:
        form = {"role": "tool", "content": self.content, "tool_call_id": self.tool_call_id}
        return _named(form, self.name)


def _named(form: dict[str, Any], name: str | None) -> dict[str, Any]:
    return form if name is None else {**form, "name": name}


def _known_role(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise wrong_type("an object", value)
    role = value.get("role")
    if not isinstance(role, str):
        raise inside(wrong_type("a string", role), "role")
    if role not in ROLES:
        raise inside(bad_value(f"'{role}' is not one of {', '.join(ROLES)}"), "role")
    return value


def _tag(value: object) -> str | None:
    return TAG + str(value["role"]) if isinstance(value, dict) else None


_ByRole = Annotated[
    Annotated[SystemMessage, Tag(TAG + "system")]
    | Annotated[SystemMessage, Tag(TAG + "developer")]
    | Annotated[UserMessage, Tag(TAG + "user")]
    | Annotated[AssistantMessage, Tag(TAG + "assistant")]
    | Annotated[ToolMessage, Tag(TAG + "tool")],
    Discriminator(_tag),
]

Message = Annotated[_ByRole, BeforeValidator(_known_role)]
