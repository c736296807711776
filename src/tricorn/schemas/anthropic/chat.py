"""The chat in OpenAI's shape that Anthropic's messages come to.

Neighbours of one role are one turn. Results of tools stand in the user's turn there and are
messages of their own here, in front of what the user says; images in them go into the user's
message, for a template has no place for them in a result.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tricorn.schemas.anthropic.blocks import (
    ImageBlock,
    TextBlock,
    ThinkingBlock,
    ToolReferenceBlock,
    ToolResultBlock,
    ToolUseBlock,
)
from tricorn.schemas.anthropic.messages import AssistantMessage, Message, UserMessage
from tricorn.schemas.sampling import across

_ACCOUNTING = "x-anthropic-billing-header:"
"""How a block begins that Claude Code puts before its system prompt, for Anthropic's accounts. It
differs in every request, so that no prompt would ever be found in a prefix cache."""


@dataclass
class Chat:
    messages: list[dict[str, Any]] = field(default_factory=list)
    """As `ChatPrompt.messages`."""
    images: list[tuple[str, str]] = field(default_factory=list)
    """(path in the request, URL) of every image, in order."""
    continued: bool = False
    """The last message is the beginning of the answer."""
    found_tools: set[str] = field(default_factory=set)
    """Tools that a search among the deferred ones has found."""


def chat(
    system: Sequence[TextBlock], messages: Sequence[Message], *, thoughts_kept: int | None = None
) -> Chat:
    """thoughts_kept: in how many of the assistant's last turns; None: in all.

    PydanticCustomError names the block that has no place where it stands.
    """
    return _Writer().write(system, messages, thoughts_kept)


@dataclass
class _UserTurn:
    results: list[dict[str, Any]] = field(default_factory=list)
    shown: list[ImageBlock | str] = field(default_factory=list)
    """Of the results."""
    said: list[ImageBlock | str] = field(default_factory=list)
    paths: dict[int, str] = field(default_factory=dict)
    """id() of an image → its path."""


@dataclass
class _AssistantTurn:
    number: int
    """Of its last message."""
    texts: list[str] = field(default_factory=list)
    thoughts: list[str] = field(default_factory=list)
    calls: list[dict[str, Any]] = field(default_factory=list)
    last_call: str = ""
    """Its path."""


class _Writer:
    def __init__(self) -> None:
        self._chat = Chat()
        self._called: dict[str, str] = {}
        """Call's id → tool's name."""
        self._turn: _UserTurn | _AssistantTurn | None = None

    def write(
        self,
        system: Sequence[TextBlock],
        messages: Sequence[Message],
        thoughts_kept: int | None,
    ) -> Chat:
        instructions = [b.text for b in system if not b.text.startswith(_ACCOUNTING)]
        for number, message in enumerate(messages):
            if isinstance(message, AssistantMessage):
                self._assistant(number, message)
            elif isinstance(message, UserMessage):
                self._user(number, message)
            elif self._turn is None:
                instructions += [block.text for block in message.content]
            else:
                # Few templates take a system message here.
                text = _joined(block.text for block in message.content)
                reminder = f"<system-reminder>\n{text}\n</system-reminder>"
                self._user_turn().said.append(reminder)
        if isinstance(self._turn, _AssistantTurn):
            self._finish_with(self._turn)
        self._end_turn()
        written = self._chat
        if thoughts_kept is not None:
            _forget_thoughts(written.messages, thoughts_kept)
        if text := _joined(instructions):
            written.messages.insert(0, {"role": "system", "content": text})
        return written

    # --- turns ---------------------------------------------------------------------------------

    def _user(self, number: int, message: UserMessage) -> None:
        turn = self._user_turn()
        for position, block in enumerate(message.content):
            where = f"messages[{number}].content[{position}]"
            match block:
                case TextBlock(text=text):
                    turn.said.append(text)
                case ImageBlock():
                    turn.said.append(block)
                    turn.paths[id(block)] = where
                case ToolResultBlock():
                    turn.results.append(self._result(block, where, turn))

    def _result(self, block: ToolResultBlock, where: str, turn: _UserTurn) -> dict[str, Any]:
        name = self._called.get(block.tool_use_id)
        if name is None:
            raise across(
                f"{where}.tool_use_id",
                f"no message of the assistant before it has a tool_use '{block.tool_use_id}'",
            )
        texts: list[str] = []
        for position, part in enumerate(block.content):
            match part:
                case TextBlock(text=text):
                    texts.append(text)
                case ToolReferenceBlock(tool_name=tool):
                    texts.append(f"Found the tool {tool}.")
                    self._chat.found_tools.add(tool)
                case ImageBlock():
                    texts.append("[image]")
                    turn.shown.append(part)
                    turn.paths[id(part)] = f"{where}.content[{position}]"
        content = _joined(texts)
        # Templates know results, not failures.
        if block.is_error and not content.lower().startswith("error"):
            content = f"Error: {content}"
        return {
            "role": "tool",
            "content": content,
            "tool_call_id": block.tool_use_id,
            "name": name,
        }

    def _assistant(self, number: int, message: AssistantMessage) -> None:
        if isinstance(self._turn, _UserTurn):
            self._end_turn()
        if not isinstance(self._turn, _AssistantTurn):
            self._turn = _AssistantTurn(number)
        turn = self._turn
        turn.number = number
        for position, block in enumerate(message.content):
            match block:
                case TextBlock(text=text):
                    turn.texts.append(text)
                case ThinkingBlock(thinking=thought):
                    turn.thoughts.append(thought)
                case ToolUseBlock():
                    self._called[block.id] = block.name
                    turn.calls.append(_call(block))
                    turn.last_call = f"messages[{number}].content[{position}]"

    def _finish_with(self, turn: _AssistantTurn) -> None:
        """The conversation ends with the assistant: what it says there is to be gone on with."""
        text = _joined(turn.texts)
        if turn.calls:
            raise across(turn.last_call, "the result of this call must come in a next message")
        if not text.strip():
            if _joined(turn.thoughts):
                raise across(
                    f"messages[{turn.number}].content",
                    "the last message has no text that an answer could go on with",
                )
            self._turn = None
            return
        if text != text.rstrip():
            raise across(
                f"messages[{turn.number}].content",
                "the text that the answer goes on with cannot end with whitespace",
            )
        self._chat.continued = True

    def _user_turn(self) -> _UserTurn:
        if isinstance(self._turn, _AssistantTurn):
            self._end_turn()
        if not isinstance(self._turn, _UserTurn):
            self._turn = _UserTurn()
        return self._turn

    def _end_turn(self) -> None:
        turn, self._turn = self._turn, None
        written = self._chat.messages
        if isinstance(turn, _AssistantTurn):
            written.append(_spoken(turn))
        elif isinstance(turn, _UserTurn):
            written += turn.results
            parts = turn.shown + turn.said
            if not parts:
                return
            for part in parts:
                if isinstance(part, ImageBlock):
                    path = f"{turn.paths[id(part)]}.source.{part.source.field}"
                    self._chat.images.append((path, part.source.url))
            written.append({"role": "user", "content": _content(parts)})


def _content(parts: Sequence[ImageBlock | str]) -> str | list[dict[str, str]]:
    texts = [part for part in parts if isinstance(part, str)]
    if len(texts) == len(parts):
        return _joined(texts)
    return [
        {"type": "text", "text": part} if isinstance(part, str) else {"type": "image"}
        for part in parts
        if part != ""
    ]


def _spoken(turn: _AssistantTurn) -> dict[str, Any]:
    text = _joined(turn.texts)
    form: dict[str, Any] = {"role": "assistant", "content": text}
    if thoughts := _joined(turn.thoughts):
        form["reasoning_content"] = thoughts
    if turn.calls:
        form["content"] = text or None
        form["tool_calls"] = turn.calls
    return form


def _call(block: ToolUseBlock) -> dict[str, Any]:
    arguments = json.dumps(block.input, ensure_ascii=False)
    return {
        "id": block.id,
        "type": "function",
        "function": {"name": block.name, "arguments": arguments},
    }


def _forget_thoughts(messages: Sequence[dict[str, Any]], kept: int) -> None:
    thoughtful = [message for message in messages if "reasoning_content" in message]
    for message in thoughtful[: len(thoughtful) - kept]:
        del message["reasoning_content"]


def _joined(texts: Any) -> str:
    """Blocks are lines; empty ones are none."""
    return "\n".join(text for text in texts if text)
