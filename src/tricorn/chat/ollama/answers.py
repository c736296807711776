"""The answers of `/api/chat` and `/api/generate`, streamed and whole.

A chunk has what one step added. Calls are sent whole, each once it is complete. The last chunk has
no text, and what the answer took; a whole answer is all chunks in one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from tricorn.chat.choice import Told, ToolUse, new_call_id
from tricorn.chat.logprobs import chat_logprobs
from tricorn.chat.ollama.times import Stopwatch, now
from tricorn.chat.pieces import CallPart, Content, Piece, Thought
from tricorn.chat.response import Head, WholeBuilder
from tricorn.chat.single_answer import SingleAnswer
from tricorn.engines.request import TokenDelta, TokenLogprob

_REASONS = {"tool_calls": "stop"}
"""Ollama has no reason of its own for calls."""


@dataclass
class Said:
    content: str = ""
    thinking: str = ""
    calls: list[dict[str, Any]] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.content or self.thinking or self.calls)


Wording = Callable[[Said], dict[str, Any]]


def message(said: Said) -> dict[str, Any]:
    """What `/api/chat` makes of it."""
    fields: dict[str, Any] = {"role": "assistant", "content": said.content}
    if said.thinking:
        fields["thinking"] = said.thinking
    if said.calls:
        fields["tool_calls"] = said.calls
    return {"message": fields}


def response(said: Said) -> dict[str, Any]:
    """What `/api/generate` makes of it, where there are no tools."""
    thinking = {"thinking": said.thinking} if said.thinking else {}
    return {"response": said.content, **thinking}


def answer(model: str, wording: Wording, said: Said, *, done_reason: str = "") -> dict[str, Any]:
    """An answer or a part of it; without its durations. done_reason: empty while it goes on."""
    done: dict[str, Any] = {"done": bool(done_reason)}
    if done_reason:
        done["done_reason"] = done_reason
    return {"model": model, "created_at": now(), **wording(said), **done}


class _OllamaAnswer(SingleAnswer):
    """model: as the request wrote it. Made when there is a lease."""

    def __init__(
        self,
        head: Head,
        *,
        model: str,
        wording: Wording,
        watch: Stopwatch,
        logprobs: bool = False,
        use: ToolUse = ToolUse(),  # noqa: B008 - it never changes
    ) -> None:
        super().__init__(head, use)
        self.model = model
        self.wording = wording
        self.wants_logprobs = logprobs
        self._watch = watch
        watch.lease()
        self._calls = _Calls()

    def started(
        self,
        position: int,
        prompt_tokens: int,
        prompt_text: str | None,
        first_token: bytes | None = None,
    ) -> list[bytes]:
        self._watch.taken()
        return super().started(position, prompt_tokens, prompt_text, first_token)

    def said(self, told: Told) -> Said:
        self._watch.token()
        return self._calls.read(told.pieces, ended=told.finish_reason is not None)

    def last(self, said: Said) -> dict[str, Any]:
        """The end of the answer, and what it took."""
        reason = self.tally.finish_reasons.get(0, "stop")
        prompt_ns, answer_ns = self._watch.evaluated()
        end = answer(self.model, self.wording, said, done_reason=_REASONS.get(reason, reason))
        return end | {
            "total_duration": self._watch.total(),
            "load_duration": self._watch.loaded(),
            "prompt_eval_count": self.tally.prompt_tokens,
            "prompt_eval_duration": prompt_ns,
            "eval_count": self.tally.completion_tokens,
            "eval_duration": answer_ns,
        }


class OllamaChunks(_OllamaAnswer):
    def told(self, told: Told, delta: TokenDelta) -> list[bytes]:
        said = self.said(told)
        logprobs = _logprobs(told.logprobs) if self.wants_logprobs else []
        if not said and not logprobs:
            return []
        chunk = answer(self.model, self.wording, said)
        if logprobs:
            chunk["logprobs"] = logprobs
        return [orjson.dumps(chunk)]

    def end(self) -> list[bytes]:
        return [orjson.dumps(self.last(Said()))]


class OllamaWhole(_OllamaAnswer, WholeBuilder):
    def __init__(self, head: Head, **options: Any) -> None:
        super().__init__(head, **options)
        self._parts: list[Said] = []
        self._logprobs: list[dict[str, Any]] = []

    def told(self, told: Told, delta: TokenDelta) -> list[bytes]:
        if said := self.said(told):
            self._parts.append(said)
        if self.wants_logprobs:
            self._logprobs += _logprobs(told.logprobs)
        return []

    def result(self) -> dict[str, Any]:
        said = Said(
            "".join(part.content for part in self._parts),
            "".join(part.thinking for part in self._parts),
            [call for part in self._parts for call in part.calls],
        )
        end = self.last(said)
        return end | {"logprobs": self._logprobs} if self.wants_logprobs else end


class _Calls:
    """Holds each call back until it is complete."""

    def __init__(self) -> None:
        self._count = 0
        self._name: str | None = None
        self._arguments: list[str] = []

    def read(self, pieces: Sequence[Piece], *, ended: bool) -> Said:
        said = Said()
        for piece in pieces:
            match piece:
                case Content(text):
                    self._close(said)
                    said.content += text
                case Thought(text):
                    self._close(said)
                    said.thinking += text
                case CallPart(_, name, arguments):
                    if name is not None:
                        self._close(said)
                        self._name = name
                    self._arguments.append(arguments)
        if ended:
            self._close(said)
        return said

    def _close(self, said: Said) -> None:
        if self._name is None:
            return
        name, text = self._name, "".join(self._arguments)
        self._name, self._arguments = None, []
        arguments = _object(text)
        if arguments is None:
            # Cut off by a limit, or no JSON: shown as it is, since a call needs an object.
            said.content += f'{{"name": {orjson.dumps(name).decode()}, "arguments": {text}'
            return
        function = {"index": self._count, "name": name, "arguments": arguments}
        said.calls.append({"id": new_call_id(), "function": function})
        self._count += 1


def _object(text: str) -> dict[str, Any] | None:
    try:
        value = orjson.loads(text or "{}")
    except orjson.JSONDecodeError:
        return None
    return value if isinstance(value, dict) else None


def _logprobs(entries: list[TokenLogprob]) -> list[dict[str, Any]]:
    shown = chat_logprobs(entries)
    # Absent where none were asked for.
    return [
        {key: value for key, value in entry.items() if key != "top_logprobs" or value}
        for entry in shown
    ]
