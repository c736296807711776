"""Items of the Responses API: what comes in, and what a client sends back of what it got."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag

from tricorn.chat.responses.ids import new_id
from tricorn.schemas.fields import String, bad_value, inside, unsupported, wrong_type
from tricorn.schemas.images import ImageUrl
from tricorn.schemas.objects import OpenObject
from tricorn.schemas.request import TAG
from tricorn.schemas.responses.parts import (
    Content,
    TextContent,
    listed_input,
    listed_output,
    text_of,
)

ROLES = ("user", "assistant", "system", "developer")
_FOREIGN_ENDS = ("_call", "_call_output", "_search_output")
_FOREIGN = {
    "additional_tools",
    "compaction",
    "compaction_trigger",
    "configuration_update",
    "mcp_approval_request",
    "mcp_approval_response",
    "mcp_list_tools",
    "program",
    "program_output",
}
"""Items of OpenAI's own tools, which are not here."""

Json = dict[str, Any]


class _Item(OpenObject):
    hints: ClassVar[frozenset[str]] = frozenset({"status", "created_by"})
    """Fields that clients send back as they got them and that say nothing to a model."""

    prefix: ClassVar[str]
    id: String | None = None

    def unknown(self) -> list[str]:
        return [name for name in super().unknown() if name not in self.hints]

    def listed(self) -> Json:
        """As `GET /v1/responses/{id}/input_items` shows it, and as it is stored: it can be read
        again. Its id is the one it came with, or a new one."""
        own = {"id": self.id or new_id(self.prefix), "status": "completed"}
        return own | self._listed()

    def _listed(self) -> Json:
        raise AssertionError("every item has its own form")


class MessageItem(_Item):
    hints: ClassVar[frozenset[str]] = _Item.hints | {"phase"}
    prefix: ClassVar[str] = "msg"
    type: Literal["message"] = "message"


class UserItem(MessageItem):
    role: Literal["user"]
    content: Content

    def images(self) -> Iterator[tuple[int, ImageUrl]]:
        """Each with its position among the content's parts."""
        for position, part in enumerate(self.content):
            if isinstance(part, ImageUrl):
                yield position, part

    def _listed(self) -> Json:
        return {"type": "message", "role": self.role, "content": listed_input(self.content)}


class SystemItem(MessageItem):
    role: Literal["system", "developer"]
    content: TextContent

    def _listed(self) -> Json:
        return {"type": "message", "role": self.role, "content": listed_input(self.content)}


class AssistantItem(MessageItem):
    role: Literal["assistant"]
    content: TextContent

    def _listed(self) -> Json:
        return {"type": "message", "role": self.role, "content": listed_output(self.content)}


class FunctionCallItem(_Item):
    prefix: ClassVar[str] = "fc"
    type: Literal["function_call"]
    call_id: String = Field(min_length=1)
    name: String = Field(min_length=1)
    arguments: String
    """JSON in a string, as the model wrote it."""
    status: str | None = None

    def is_whole(self) -> bool:
        """Its arguments are the text of an object, which not every model's template can do
        without; a limit may have cut them."""
        try:
            return isinstance(json.loads(self.arguments or "{}"), dict)
        except ValueError:
            return False

    def _listed(self) -> Json:
        return {
            "type": self.type,
            "status": self.status or "completed",
            "call_id": self.call_id,
            "name": self.name,
            "arguments": self.arguments,
        }


class FunctionCallOutputItem(_Item):
    prefix: ClassVar[str] = "fco"
    type: Literal["function_call_output"]
    call_id: String = Field(min_length=1)
    output: TextContent

    def _listed(self) -> Json:
        return {"type": self.type, "call_id": self.call_id, "output": text_of(self.output)}


class ReasoningItem(_Item):
    """Its text, or else its summary, goes back to the model where its template has a place for it.

    What another server has encrypted says nothing to a model here.
    """

    hints: ClassVar[frozenset[str]] = _Item.hints | {"encrypted_content"}
    prefix: ClassVar[str] = "rs"
    type: Literal["reasoning"]
    summary: TextContent = []
    content: TextContent = []

    def text(self) -> str:
        return text_of(self.content) or text_of(self.summary)

    def _listed(self) -> Json:
        return {
            "type": self.type,
            "summary": [{"type": "summary_text", "text": text} for text in self.summary],
            "content": [{"type": "reasoning_text", "text": text} for text in self.content],
            "encrypted_content": None,
        }


class ItemReference(OpenObject):
    """A stored item in its place."""

    type: Literal["item_reference"] = "item_reference"
    id: String = Field(min_length=1)


def _known(value: object) -> object:
    if not isinstance(value, dict):
        raise wrong_type("an object", value)
    kind = value.get("type")
    if kind is None and ("role" in value or "id" not in value):
        kind = "message"
    match kind:
        case None | "item_reference" | "function_call" | "function_call_output" | "reasoning":
            return value
        case "message":
            role = value.get("role")
            if not isinstance(role, str):
                raise inside(wrong_type("a string", role), "role")
            if role not in ROLES:
                raise inside(bad_value(f"'{role}' is not one of {', '.join(ROLES)}"), "role")
            return value
        case str() if kind in _FOREIGN or kind.endswith(_FOREIGN_ENDS):
            raise inside(unsupported(f"Items of type '{kind}' are not supported."), "type")
        case str():
            raise inside(bad_value(f"unknown item type '{kind}'"), "type")
        case _:
            raise inside(wrong_type("a string", kind), "type")


def _tag(value: Any) -> str:
    kind = value.get("type")
    if kind in (None, "message"):
        return TAG + str(value.get("role", "item_reference"))
    return TAG + str(kind)


Said = UserItem | SystemItem | AssistantItem | FunctionCallItem
Item = Said | FunctionCallOutputItem | ReasoningItem
"""What a conversation consists of."""

_ByType = Annotated[
    Annotated[UserItem, Tag(TAG + "user")]
    | Annotated[SystemItem, Tag(TAG + "system")]
    | Annotated[SystemItem, Tag(TAG + "developer")]
    | Annotated[AssistantItem, Tag(TAG + "assistant")]
    | Annotated[FunctionCallItem, Tag(TAG + "function_call")]
    | Annotated[FunctionCallOutputItem, Tag(TAG + "function_call_output")]
    | Annotated[ReasoningItem, Tag(TAG + "reasoning")]
    | Annotated[ItemReference, Tag(TAG + "item_reference")],
    Discriminator(_tag),
]

InputItem = Annotated[_ByType, BeforeValidator(_known)]
