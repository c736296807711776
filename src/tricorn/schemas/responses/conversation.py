"""From the items of the Responses API to the messages that a chat template takes.

One turn of a model may be several items: thoughts, a message, calls. Templates know one message of
the assistant for them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from pydantic import TypeAdapter

from tricorn.errors import InvalidRequest
from tricorn.schemas.responses.items import (
    AssistantItem,
    FunctionCallItem,
    FunctionCallOutputItem,
    InputItem,
    Item,
    ItemReference,
    ReasoningItem,
    SystemItem,
    UserItem,
)
from tricorn.schemas.responses.parts import template_content, text_of

Json = dict[str, Any]

_STORED: TypeAdapter[Item | ItemReference] = TypeAdapter(InputItem)


class Placed(NamedTuple):
    """An item, and where the request has it."""

    param: str
    item: Item


def stored_item(listed: Json) -> Item:
    """What `listed` of an item gave, read again."""
    item = _STORED.validate_python(listed)
    assert not isinstance(item, ItemReference), "they are stored as what they refer to"
    return item


def history(turns: Sequence[tuple[Sequence[Json], Sequence[Json]]]) -> list[Placed]:
    """The items of stored turns: what came in, and what was answered. A call that a limit has cut
    was never made, and nothing can answer it: it is left out."""
    items = [
        Placed("previous_response_id", stored_item(listed))
        for sent, given in turns
        for listed in (*sent, *given)
    ]
    return [
        placed
        for placed in items
        if not (isinstance(placed.item, FunctionCallItem) and not placed.item.is_whole())
    ]


def check(items: Sequence[Placed]) -> None:
    """Every result belongs to a call before it, and every call is whole; else InvalidRequest."""
    known: set[str] = set()
    for param, item in items:
        if isinstance(item, FunctionCallItem):
            if not item.is_whole():
                raise InvalidRequest(
                    f"Invalid value for '{param}.arguments': expected the JSON text of an object.",
                    param=f"{param}.arguments",
                )
            known.add(item.call_id)
        elif isinstance(item, FunctionCallOutputItem) and item.call_id not in known:
            raise InvalidRequest(
                f"Invalid value for '{param}.call_id': no function_call before it has the call_id "
                f"'{item.call_id}'.",
                param=f"{param}.call_id",
            )


def image_urls(items: Sequence[Placed]) -> list[tuple[str, str]]:
    """(path in the request, URL) of every image, in order."""
    found = []
    for param, item in items:
        if not isinstance(item, UserItem):
            continue
        for position, image in item.images():
            own = param.startswith("input")
            where = f"{param}.content[{position}].image_url" if own else param
            found.append((where, image.url))
    return found


def messages(instructions: str | None, items: Sequence[Placed]) -> list[Json]:
    """As `ChatPrompt` takes them. Many templates know one system message, at the beginning: all
    that stands there becomes one."""
    found: list[Json] = []
    opening = [instructions] if instructions is not None else []
    turn = _Turn()
    for _, item in items:
        match item:
            case SystemItem() if not found and turn.empty:
                opening.append(text_of(item.content))
            case ReasoningItem() | AssistantItem() | FunctionCallItem():
                if not turn.takes(item):
                    found += turn.messages()
                    turn = _Turn()
                turn.add(item)
            case _:
                found += turn.messages()
                turn = _Turn()
                found.append(_message(item))
    found += turn.messages()
    if opening:
        found.insert(0, {"role": "system", "content": "\n\n".join(opening)})
    return found


def _message(item: UserItem | SystemItem | FunctionCallOutputItem) -> Json:
    match item:
        case UserItem():
            return {"role": "user", "content": template_content(item.content)}
        case SystemItem():
            # "developer" is what newer OpenAI models call it; templates know "system".
            return {"role": "system", "content": text_of(item.content)}
        case FunctionCallOutputItem():
            content = text_of(item.output)
            return {"role": "tool", "content": content, "tool_call_id": item.call_id}


class _Turn:
    """One message of the assistant, under construction: thoughts, then content, then calls."""

    def __init__(self) -> None:
        self._thoughts: list[str] = []
        self._content: list[str] = []
        self._calls: list[Json] = []

    @property
    def empty(self) -> bool:
        return not (self._thoughts or self._content or self._calls)

    def takes(self, item: ReasoningItem | AssistantItem | FunctionCallItem) -> bool:
        """Nothing that comes after it stands there yet."""
        match item:
            case ReasoningItem():
                return not (self._content or self._calls)
            case AssistantItem():
                return not (self._content or self._calls)
            case FunctionCallItem():
                return True

    def add(self, item: ReasoningItem | AssistantItem | FunctionCallItem) -> None:
        match item:
            case ReasoningItem():
                self._thoughts.append(item.text())
            case AssistantItem():
                self._content.append(text_of(item.content))
            case FunctionCallItem(call_id=call_id, name=name, arguments=arguments):
                function = {"name": name, "arguments": arguments or "{}"}
                self._calls.append({"id": call_id, "type": "function", "function": function})

    def messages(self) -> list[Json]:
        """None for thoughts alone: nothing was said."""
        if not (self._content or self._calls):
            return []
        message: Json = {
            "role": "assistant",
            "content": self._content[0] if self._content else None,
        }
        if thoughts := "\n".join(filter(None, self._thoughts)):
            message["reasoning_content"] = thoughts
        if self._calls:
            message["tool_calls"] = self._calls
        return [message]
