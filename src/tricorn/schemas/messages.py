"""Chat messages: one model a role, content reduced to what a template takes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    Discriminator,
    Field,
    ModelWrapValidatorHandler,
    PrivateAttr,
    Tag,
    model_validator,
)
from pydantic_core import PydanticCustomError

from tricorn.schemas.fields import String, bad_value, inside, unsupported, wrong_type
from tricorn.schemas.images import ImagePart, ImageUrl, image_url, is_image
from tricorn.schemas.objects import OpenObject
from tricorn.schemas.part_fields import unknown_of
from tricorn.schemas.request import TAG
from tricorn.schemas.roles import has_role, role_tag

ROLES = ("system", "developer", "user", "assistant", "tool", "function")

FOREIGN_PARTS = {"input_audio", "file", "video_url", "audio_url"}
_HINTS = {"annotations"}
"""Message fields that clients send back as they got them and that say nothing to a template."""


class TextPart(BaseModel):
    type: Literal["text"]
    text: str


class RefusalPart(BaseModel):
    type: Literal["refusal"]
    refusal: str


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
    if is_image(part):
        raise inside(unsupported("Images are only supported in messages of the user."), position)
    if kind in FOREIGN_PARTS:
        raise inside(unsupported(f"Content parts of type '{kind}' are not supported."), position)
    if kind not in ("text", "refusal"):
        raise inside(bad_value(f"unknown content part type {kind!r}; known is text"), position)
    text = part.get(kind)
    if not isinstance(text, str):
        raise inside(wrong_type(f"a string in '{kind}'", text), position)
    return text


def _parts(value: object) -> str | list[str | ImageUrl]:
    """As `_text` where there are no images; with images the parts stay apart, in their order."""
    if not isinstance(value, list) or not any(map(is_image, value)):
        return _text(value)
    return [
        _image(position, part) if is_image(part) else _part(position, part)
        for position, part in enumerate(value)
    ]


def _image(position: int, part: dict[str, Any]) -> ImageUrl:
    try:
        return image_url(part)
    except PydanticCustomError as error:
        raise inside(error, position) from error


Content = Annotated[
    str,
    BeforeValidator(_text, json_schema_input_type=str | list[TextPart | RefusalPart]),
]
UserContent = Annotated[
    str | list[str | ImageUrl],
    BeforeValidator(_parts, json_schema_input_type=str | list[TextPart | RefusalPart | ImagePart]),
]


class FunctionCall(OpenObject):
    name: String = Field(min_length=1)
    arguments: String
    """JSON in a string, as the model wrote it."""


def _function_only(value: object) -> str:
    if value != "function":
        raise unsupported(f"Tool calls of type {value!r} are not supported.")
    return "function"


class ToolCall(OpenObject):
    id: String
    type: Annotated[str, BeforeValidator(_function_only)] = "function"
    function: FunctionCall

    def unknown(self) -> list[str]:
        return super().unknown() + [f"function.{name}" for name in self.function.unknown()]


class _Message(OpenObject):
    _unknown_in_content: list[str] = PrivateAttr(default_factory=list)

    @model_validator(mode="wrap")
    @classmethod
    def _looks_into_parts(cls, value: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        # What becomes of the parts has their text alone.
        message = handler(value)
        message._unknown_in_content = unknown_of(value.get("content"))
        return message

    def template_form(self) -> dict[str, Any]:
        """As the model's chat template takes it."""
        raise AssertionError("every role has its own form")

    def unknown(self) -> list[str]:
        own = [name for name in (self.model_extra or {}) if name not in _HINTS]
        return own + self._unknown_in_content


class SystemMessage(_Message):
    role: Literal["system", "developer"]
    content: Content
    name: String | None = None

    def template_form(self) -> dict[str, Any]:
        # "developer" is what newer OpenAI models call it; templates know "system".
        return _named({"role": "system", "content": self.content}, self.name)


class UserMessage(_Message):
    role: Literal["user"]
    content: UserContent
    name: String | None = None

    def images(self) -> Iterator[tuple[int, ImageUrl]]:
        """Each with its position among the content's parts."""
        parts = [] if isinstance(self.content, str) else self.content
        for position, part in enumerate(parts):
            if isinstance(part, ImageUrl):
                yield position, part

    def template_form(self) -> dict[str, Any]:
        content: str | list[dict[str, str]]
        if isinstance(self.content, str):
            content = self.content
        else:
            content = [
                {"type": "text", "text": part} if isinstance(part, str) else {"type": "image"}
                for part in self.content
            ]
        return _named({"role": "user", "content": content}, self.name)


class AssistantMessage(_Message):
    role: Literal["assistant"]
    content: Content | None = None
    name: String | None = None
    refusal: String | None = None
    reasoning_content: String | None = None
    reasoning: String | None = None
    """Another server's name for `reasoning_content`."""
    tool_calls: list[ToolCall] | None = None
    function_call: FunctionCall | None = None
    """The older form of a single one of `tool_calls`."""

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        extra = self.model_extra or {}
        if "audio" in extra:
            raise inside(unsupported("'audio' in a message is not supported."), "audio")
        called = self.tool_calls or self.function_call
        if self.content is None and not called and self.refusal is None:
            raise inside(bad_value("may be null only in a message with tool_calls"), "content")
        return self

    def unknown(self) -> list[str]:
        found = super().unknown()
        for number, call in enumerate(self.tool_calls or ()):
            # Streams number their calls, and clients send back what they put together of them.
            names = (name for name in call.unknown() if name != "index")
            found += [f"tool_calls[{number}].{name}" for name in names]
        if self.function_call is not None:
            found += [f"function_call.{name}" for name in self.function_call.unknown()]
        return found

    def template_form(self) -> dict[str, Any]:
        form: dict[str, Any] = {"role": "assistant", "content": self.content}
        if self.content is None and self.refusal is not None:
            form["content"] = self.refusal
        reasoning = self.reasoning_content or self.reasoning
        if reasoning is not None:
            form["reasoning_content"] = reasoning
        if calls := self.calls():
            form["tool_calls"] = [
                {
                    "id": call.id,
                    "type": "function",
                    "function": {
                        "name": call.function.name,
                        "arguments": call.function.arguments,
                    },
                }
                for call in calls
            ]
        return _named(form, self.name)

    def calls(self) -> list[ToolCall]:
        """In the newer form."""
        if self.function_call is None:
            return self.tool_calls or []
        call_id = _legacy_id(self.function_call.name)
        return [ToolCall(id=call_id, function=self.function_call)]


class ToolMessage(_Message):
    role: Literal["tool"]
    content: Content
    tool_call_id: String
    name: String | None = None

    def template_form(self) -> dict[str, Any]:
        form = {"role": "tool", "content": self.content, "tool_call_id": self.tool_call_id}
        return _named(form, self.name)


class FunctionMessage(_Message):
    """The older form of a tool's message: the name says which call it belongs to."""

    role: Literal["function"]
    content: Content
    name: String

    def template_form(self) -> dict[str, Any]:
        call_id = _legacy_id(self.name)
        form = {"role": "tool", "content": self.content, "tool_call_id": call_id}
        return _named(form, self.name)


def _legacy_id(name: str) -> str:
    return f"function_{name}"


def check_tool_messages(messages: Sequence[Message]) -> None:
    """Every result must belong to a call that stands before it."""
    known: set[str] = set()
    for number, message in enumerate(messages):
        if isinstance(message, AssistantMessage):
            known.update(call.id for call in message.calls())
        elif isinstance(message, FunctionMessage):
            if _legacy_id(message.name) not in known:
                raise _without_call(f"messages[{number}].name", message.name)
        elif isinstance(message, ToolMessage) and message.tool_call_id not in known:
            raise _without_call(f"messages[{number}].tool_call_id", message.tool_call_id)


def _without_call(param: str, value: str) -> PydanticCustomError:
    text = f"no message of the assistant before it has a call '{value}'"
    return PydanticCustomError("bad_value", "{text}", {"text": text, "param": param})


def _named(form: dict[str, Any], name: str | None) -> dict[str, Any]:
    return form if name is None else {**form, "name": name}


_ByRole = Annotated[
    Annotated[SystemMessage, Tag(TAG + "system")]
    | Annotated[SystemMessage, Tag(TAG + "developer")]
    | Annotated[UserMessage, Tag(TAG + "user")]
    | Annotated[AssistantMessage, Tag(TAG + "assistant")]
    | Annotated[ToolMessage, Tag(TAG + "tool")]
    | Annotated[FunctionMessage, Tag(TAG + "function")],
    Discriminator(role_tag),
]

Message = Annotated[_ByRole, BeforeValidator(has_role(ROLES))]
