"""Content blocks of Anthropic's messages, as clients send them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Discriminator, Field, Tag

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
from tricorn.schemas.request import TAG

_HINTS = {"cache_control", "citations", "caller", "toolset_name"}
"""Fields that say nothing to a template: where to cache, and what clients send back as they got
it."""
_MEDIA_TYPES = ("image/jpeg", "image/png", "image/gif", "image/webp")


@dataclass(frozen=True)
class ImageSource:
    url: str
    """A data: URL or an http(s) address."""
    field: str
    """The one of the source that has it: data or url."""


class Base64Source(BaseModel):
    type: Literal["base64"]
    media_type: Literal["image/jpeg", "image/png", "image/gif", "image/webp"]
    data: str


class UrlSource(BaseModel):
    type: Literal["url"]
    url: str


def _image_source(value: object) -> ImageSource:
    if not isinstance(value, dict):
        raise wrong_type("an object", value)
    match value.get("type"):
        case "base64":
            media_type, data = value.get("media_type"), value.get("data")
            if media_type not in _MEDIA_TYPES:
                text = f"{media_type!r} is not one of {', '.join(_MEDIA_TYPES)}"
                raise inside(bad_value(text), "media_type")
            if not isinstance(data, str):
                raise inside(wrong_type("a string", data), "data")
            return ImageSource(f"data:{media_type};base64,{data}", "data")
        case "url":
            url = value.get("url")
            if not isinstance(url, str):
                raise inside(wrong_type("a string", url), "url")
            if not url.lower().startswith(("http://", "https://")):
                raise inside(bad_value("it must be an http(s) address"), "url")
            return ImageSource(url, "url")
        case kind:
            text = f"Images from a source of type {kind!r} are not supported; send them in base64."
            raise inside(unsupported(text), "type")


class _Block(OpenObject):
    def unknown(self) -> list[str]:
        return [name for name in super().unknown() if name not in _HINTS]


class TextBlock(_Block):
    type: Literal["text"]
    text: String


class ImageBlock(_Block):
    type: Literal["image"]
    source: Annotated[
        ImageSource,
        BeforeValidator(_image_source, json_schema_input_type=Base64Source | UrlSource),
    ]


class ThinkingBlock(_Block):
    """A thought that this server gave. Its signature proves nothing here and is not checked."""

    type: Literal["thinking"]
    thinking: String
    signature: String = ""


class RedactedThinkingBlock(_Block):
    """Another server's thought, which only that server can read."""

    type: Literal["redacted_thinking"]
    data: String = ""


class ToolUseBlock(_Block):
    type: Literal["tool_use"]
    id: String = Field(min_length=1)
    name: String = Field(min_length=1)
    input: JsonObject


class ToolReferenceBlock(_Block):
    """In the result of a search for tools: one whose loading was deferred."""

    type: Literal["tool_reference"]
    tool_name: String


def _one_of(*kinds: str) -> Callable[[object], object]:
    """Refuses every block whose type is not among `kinds`."""

    def check(value: object) -> object:
        if not isinstance(value, dict):
            raise wrong_type("an object", value)
        kind = value.get("type")
        if not isinstance(kind, str):
            raise inside(wrong_type("a string", kind), "type")
        if kind == "document":
            text = "Documents are not supported; send their text in a block of type 'text'."
            raise inside(unsupported(text), "type")
        if kind not in kinds:
            text = f"Blocks of type '{kind}' are not supported here; known: {', '.join(kinds)}."
            raise inside(unsupported(text), "type")
        return value

    return check


def _tag(value: object) -> str | None:
    return TAG + str(value["type"]) if isinstance(value, dict) else None


def _blocks(value: object) -> object:
    """A string stands for one block of text."""
    if isinstance(value, str):
        return [{"type": "text", "text": value}]
    if not isinstance(value, list):
        raise wrong_type("a string or an array of content blocks", value)
    return value


def _some_blocks(value: object) -> object:
    if value == []:
        raise bad_value("there must be at least one block")
    return _blocks(value)


ResultBlock = Annotated[
    Annotated[
        Annotated[TextBlock, Tag(TAG + "text")]
        | Annotated[ImageBlock, Tag(TAG + "image")]
        | Annotated[ToolReferenceBlock, Tag(TAG + "tool_reference")],
        Discriminator(_tag),
    ],
    BeforeValidator(_one_of("text", "image", "tool_reference")),
]


class ToolResultBlock(_Block):
    type: Literal["tool_result"]
    tool_use_id: String
    content: Annotated[
        list[ResultBlock],
        BeforeValidator(_blocks, json_schema_input_type=str | list[ResultBlock]),
    ] = []
    is_error: Boolean = False

    def unknown(self) -> list[str]:
        return super().unknown() + unknown_of(self.content, "content")


UserBlock = Annotated[
    Annotated[
        Annotated[TextBlock, Tag(TAG + "text")]
        | Annotated[ImageBlock, Tag(TAG + "image")]
        | Annotated[ToolResultBlock, Tag(TAG + "tool_result")],
        Discriminator(_tag),
    ],
    BeforeValidator(_one_of("text", "image", "tool_result")),
]
AssistantBlock = Annotated[
    Annotated[
        Annotated[TextBlock, Tag(TAG + "text")]
        | Annotated[ThinkingBlock, Tag(TAG + "thinking")]
        | Annotated[RedactedThinkingBlock, Tag(TAG + "redacted_thinking")]
        | Annotated[ToolUseBlock, Tag(TAG + "tool_use")],
        Discriminator(_tag),
    ],
    BeforeValidator(_one_of("text", "thinking", "redacted_thinking", "tool_use")),
]
SystemBlock = Annotated[TextBlock, BeforeValidator(_one_of("text"))]

UserContent = Annotated[
    list[UserBlock],
    BeforeValidator(_some_blocks, json_schema_input_type=str | list[UserBlock]),
]
AssistantContent = Annotated[
    list[AssistantBlock],
    BeforeValidator(_blocks, json_schema_input_type=str | list[AssistantBlock]),
]
SystemContent = Annotated[
    list[SystemBlock], BeforeValidator(_blocks, json_schema_input_type=str | list[SystemBlock])
]


def unknown_of(items: Sequence[Any], where: str) -> list[str]:
    """Paths of the fields that nobody knows in `items`, which stand in the array at `where`."""
    return [
        f"{where}[{position}].{name}"
        for position, item in enumerate(items)
        for name in item.unknown()
    ]
