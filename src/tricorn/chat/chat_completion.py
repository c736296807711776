"""`chat.completion` and `chat.completion.chunk`, exactly as OpenAI's."""

from __future__ import annotations

from typing import Any

import orjson

from tricorn.chat.logprobs import chat_logprobs
from tricorn.chat.response import Builder, Head, WholeBuilder
from tricorn.engines.base import TokenDelta


class ChatChunks(Builder):
    """Each choice: a chunk with the role, chunks with content, a chunk with the finish reason."""

    def __init__(
        self, head: Head, *, n: int = 1, include_usage: bool = False, logprobs: bool = False
    ) -> None:
        super().__init__(head, n=n)
        self.include_usage = include_usage
        self.logprobs = logprobs
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
        self._stop = b'],"usage":null}' if include_usage else b"]}"
        self._openings = [self._start + b'{"index":%d,"delta":' % choice for choice in range(n)]

    def grow(self, choice: int, position: int, delta: TokenDelta) -> list[bytes]:
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
            chunks.append(opening + end + self._stop)
        return chunks

    def end(self) -> list[bytes]:
        if not self.include_usage:
            return []
        return [self._start + b'],"usage":' + orjson.dumps(self.tally.usage()) + b"}"]


class ChatCompletion(WholeBuilder):
    def __init__(self, head: Head, *, n: int = 1, logprobs: bool = False) -> None:
        super().__init__(head, n=n)
        self._logprobs: list[list[dict[str, Any]]] | None = (
            [[] for _ in range(n)] if logprobs else None
        )

    def grow(self, choice: int, position: int, delta: TokenDelta) -> list[bytes]:
        if self._logprobs is not None and delta.logprobs:
            self._logprobs[choice] += chat_logprobs(delta.logprobs)
        return super().grow(choice, position, delta)

    def result(self) -> dict[str, Any]:
        return {
            "id": self.head.id,
            "object": "chat.completion",
            "created": self.head.created,
            "model": self.head.model,
            "choices": [self._choice(choice) for choice in range(self.choices)],
            "usage": self.tally.usage(),
            "system_fingerprint": self.head.fingerprint,
        }

    def _choice(self, choice: int) -> dict[str, Any]:
        logprobs = None
        if self._logprobs is not None:
            logprobs = {"content": self._logprobs[choice], "refusal": None}
        return {
            "index": choice,
            "message": {
                "role": "assistant",
                "content": "".join(self.texts[choice]),
                "refusal": None,
                "annotations": [],
            },
            "logprobs": logprobs,
            "finish_reason": self.tally.finish_reasons.get(choice),
        }
