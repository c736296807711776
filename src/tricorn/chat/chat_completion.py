"""`chat.completion` and `chat.completion.chunk`, exactly as OpenAI's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from tricorn.chat.choice import ChoiceReader, ToolUse, new_call_id
from tricorn.chat.logprobs import chat_logprobs
from tricorn.chat.pieces import CallPart, Content, Piece, Reading, Thought
from tricorn.chat.prompt_logprobs import by_token_id
from tricorn.chat.reasoning import FIELDS
from tricorn.chat.response import Builder, Head, TextKeeper
from tricorn.engines.request import TokenDelta


class ChatChunks(Builder):
    """Each choice: a chunk with the role, chunks with thoughts, content and parts of tool calls, a
    chunk with the finish reason.

    continuous_usage: every chunk tells what was used so far. thoughts: what they are called.
    """

    def __init__(
        self,
        head: Head,
        *,
        n: int = 1,
        include_usage: bool = False,
        continuous_usage: bool = False,
        logprobs: bool = False,
        use: ToolUse = ToolUse(),  # noqa: B008 - it never changes
        thoughts: Sequence[str] = FIELDS["both"],
    ) -> None:
        super().__init__(head, n=n)
        self._use = use
        self._readers: list[ChoiceReader] = []
        self.include_usage = include_usage
        self._continuous_usage = continuous_usage
        self.logprobs = logprobs
        self._thoughts = thoughts
        self._begun: set[int] = set()
        start = orjson.dumps(
            {
                "id": head.id,
                "object": "chat.completion.chunk",
                "created": head.created,
                "model": head.model,
                "system_fingerprint": head.fingerprint,
            }
        )
        self._start = start[:-1] + b',"choices":['
        # `usage` is there, as null, only when the client asked for the chunk that has it.
        self._stop_with(b'],"usage":null}' if include_usage else b"]}")
        self._openings = [self._start + b'{"index":%d,"delta":' % choice for choice in range(n)]

    def read_as(self, reading: Reading) -> None:
        self._readers = [ChoiceReader(reading, self._use) for _ in range(self.n)]

    def grow(self, choice: int, position: int, delta: TokenDelta) -> list[bytes]:
        if self._readers:
            return self._read(choice, delta)
        self._count()
        chunks: list[bytes] = []
        opening = self._openings[choice]
        if choice not in self._begun:
            self._begun.add(choice)
            role = b'{"role":"assistant","content":"","refusal":null},"logprobs":null'
            chunks.append(opening + role + b',"finish_reason":null}' + self._stop)
        logprobs = b"null"
        shown = chat_logprobs(delta.logprobs) if self.logprobs and delta.logprobs else None
        if shown:
            logprobs = orjson.dumps({"content": shown, "refusal": None})
        if delta.text or shown:
            chunks.append(
                b"".join(
                    (
                        opening,
                        b'{"content":',
                        orjson.dumps(delta.text),
                        b'},"logprobs":',
                        logprobs,
                        b',"finish_reason":null}',
                        self._stop,
                    )
                )
            )
        if delta.finish_reason is not None:
            reason = orjson.dumps(delta.finish_reason)
            end = b'{},"logprobs":null,"finish_reason":' + reason + b"}"
            chunks.append(opening + end + self._last())
        return chunks

    def _read(self, choice: int, delta: TokenDelta) -> list[bytes]:
        told = self._readers[choice].read(delta)
        self.tally.reasoning_tokens += told.reasoning_tokens
        self._count()
        opening = self._openings[choice]
        chunks: list[bytes] = []
        if choice not in self._begun and (told.pieces or told.finish_reason):
            self._begun.add(choice)
            speaks = not told.pieces or isinstance(told.pieces[0], Content)
            content = b'""' if speaks else b"null"
            role = b'{"role":"assistant","content":' + content + b',"refusal":null}'
            chunks.append(opening + role + self._ending)
        for piece in told.pieces:
            if isinstance(piece, Content) and told.logprobs:
                shown = {"content": chat_logprobs(told.logprobs), "refusal": None}
                told.logprobs = []
                logprobs = b',"logprobs":' + orjson.dumps(shown) + b',"finish_reason":null}'
                chunks.append(opening + self._delta_of(piece) + logprobs + self._stop)
            else:
                chunks.append(opening + self._delta_of(piece) + self._ending)
        if told.finish_reason is not None:
            self.tally.finish_reasons[choice] = told.finish_reason
            reason = orjson.dumps(told.finish_reason)
            end = b'{},"logprobs":null,"finish_reason":' + reason + b"}"
            chunks.append(opening + end + self._last())
        return chunks

    def _stop_with(self, stop: bytes) -> None:
        """stop: how a chunk ends behind its choice."""
        self._stop = stop
        self._ending = b',"logprobs":null,"finish_reason":null}' + stop

    def _count(self) -> None:
        if self._continuous_usage:
            self._stop_with(b'],"usage":' + orjson.dumps(self.tally.usage()) + b"}")

    def _last(self) -> bytes:
        """The end of the chunk that has a finish reason."""
        return self._stop[:-1] + self._truncation() + b"}"

    def _truncation(self) -> bytes:
        if self.truncated is None:
            return b""
        return b',"truncation":' + orjson.dumps(self.truncated.told())

    def _delta_of(self, piece: Piece) -> bytes:
        match piece:
            case Content(text):
                return b'{"content":' + orjson.dumps(text) + b"}"
            case Thought(text):
                return orjson.dumps(dict.fromkeys(self._thoughts, text))
            case CallPart(number, name, arguments):
                function = {"arguments": arguments}
                if name is not None:
                    function = {"name": name, **function}
                if self._use.legacy:
                    return orjson.dumps({"function_call": function})
                call: dict[str, Any] = {"index": number}
                if name is not None:
                    call |= {"id": new_call_id(), "type": "function"}
                return orjson.dumps({"tool_calls": [call | {"function": function}]})

    def end(self) -> list[bytes]:
        if not self.include_usage:
            return []
        usage = orjson.dumps(self.tally.usage())
        return [self._start + b'],"usage":' + usage + self._truncation() + b"}"]


class ChatCompletion(TextKeeper):
    """prompt_logprobs: give vLLM's field of that name, with as many alternatives. thoughts: what
    they are called."""

    def __init__(
        self,
        head: Head,
        *,
        n: int = 1,
        logprobs: bool = False,
        prompt_logprobs: int | None = None,
        use: ToolUse = ToolUse(),  # noqa: B008 - it never changes
        thoughts: Sequence[str] = FIELDS["both"],
    ) -> None:
        super().__init__(head, n=n)
        self._use = use
        self._thought_names = thoughts
        self._readers: list[ChoiceReader] = []
        self._thoughts: list[list[str]] = [[] for _ in range(n)]
        self._calls: list[list[tuple[str, list[str]]]] = [[] for _ in range(n)]
        """Of each choice, each call's name and the pieces of its arguments."""
        self._prompt_top = prompt_logprobs
        self._of_prompt: dict[str, Any] = {}
        self._logprobs: list[list[dict[str, Any]]] | None = (
            [[] for _ in range(n)] if logprobs else None
        )

    def grow(self, choice: int, position: int, delta: TokenDelta) -> list[bytes]:
        if self._logprobs is not None and delta.logprobs and not self._readers:
            self._logprobs[choice] += chat_logprobs(delta.logprobs)
        if delta.prompt_logprobs is not None and self._prompt_top is not None:
            self._of_prompt = {
                "prompt_logprobs": by_token_id(delta.prompt_logprobs, self._prompt_top)
            }
        if self._readers:
            self._read(choice, delta)
            return []
        return super().grow(choice, position, delta)

    def read_as(self, reading: Reading) -> None:
        self._readers = [ChoiceReader(reading, self._use) for _ in range(self.n)]

    def _read(self, choice: int, delta: TokenDelta) -> None:
        told = self._readers[choice].read(delta)
        self.tally.reasoning_tokens += told.reasoning_tokens
        if told.finish_reason is not None:
            self.tally.finish_reasons[choice] = told.finish_reason
        if self._logprobs is not None:
            self._logprobs[choice] += chat_logprobs(told.logprobs)
        for piece in told.pieces:
            match piece:
                case Content(text):
                    self.texts[choice].append(text)
                case Thought(text):
                    self._thoughts[choice].append(text)
                case CallPart(_, str(name), arguments):
                    self._calls[choice].append((name, [arguments]))
                case CallPart(_, None, arguments):
                    self._calls[choice][-1][1].append(arguments)

    def result(self) -> dict[str, Any]:
        return {
            "id": self.head.id,
            "object": "chat.completion",
            "created": self.head.created,
            "model": self.head.model,
            "choices": [self._choice(choice) for choice in range(self.choices)],
            "usage": self.tally.usage(),
            "system_fingerprint": self.head.fingerprint,
            **self._of_prompt,
            **({} if self.truncated is None else {"truncation": self.truncated.told()}),
        }

    def _choice(self, choice: int) -> dict[str, Any]:
        logprobs = None
        if self._logprobs is not None:
            logprobs = {"content": self._logprobs[choice], "refusal": None}
        return {
            "index": choice,
            "message": self._message(choice),
            "logprobs": logprobs,
            "finish_reason": self.tally.finish_reasons.get(choice),
        }

    def _message(self, choice: int) -> dict[str, Any]:
        content = "".join(self.texts[choice])
        message: dict[str, Any] = {
            "role": "assistant",
            "content": content,
            "refusal": None,
            "annotations": [],
        }
        if thoughts := "".join(self._thoughts[choice]):
            message |= dict.fromkeys(self._thought_names, thoughts)
        functions = [
            {"name": name, "arguments": "".join(arguments)}
            for name, arguments in self._calls[choice]
        ]
        if not functions:
            return message
        message["content"] = content or None
        if self._use.legacy:
            return message | {"function_call": functions[0]}
        calls = [{"id": new_call_id(), "type": "function", "function": f} for f in functions]
        return message | {"tool_calls": calls}
