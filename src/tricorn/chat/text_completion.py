"""`text_completion`, whole and in chunks, exactly as OpenAI's."""

from __future__ import annotations

from typing import Any

import orjson

from tricorn.chat.logprobs import LegacyLogprobs, merge_legacy
from tricorn.chat.response import Builder, Head, WholeBuilder
from tricorn.engines.base import TokenDelta


class TextChunks(Builder):
    """echo: each choice begins with a chunk that repeats its prompt."""

    def __init__(
        self,
        head: Head,
        *,
        n: int = 1,
        prompts: int = 1,
        include_usage: bool = False,
        logprobs: bool = False,
        echo: bool = False,
    ) -> None:
        super().__init__(head, n=n, prompts=prompts)
        self.include_usage = include_usage
        self.echo = echo
        self._logprobs = [LegacyLogprobs() for _ in range(self.choices)] if logprobs else None
        start = orjson.dumps(
            {
                "id": head.id,
                "object": "text_completion",
                "created": head.created,
                "model": head.model,
                "system_fingerprint": head.fingerprint,
            }
        )
        self._start = start[:-1] + b',"choices":['
        self._stop = b'],"usage":null}' if include_usage else b"]}"

    def started(self, position: int, prompt_tokens: int, prompt_text: str | None) -> list[bytes]:
        super().started(position, prompt_tokens, prompt_text)
        if not self.echo or prompt_text is None:
            return []
        first = position * self.n
        return [self._chunk(first + index, prompt_text, None, None) for index in range(self.n)]

    def grow(self, choice: int, position: int, delta: TokenDelta) -> list[bytes]:
        logprobs = None
        if self._logprobs is not None and delta.logprobs:
            logprobs = self._logprobs[choice].add(delta.logprobs)
            if not logprobs["tokens"]:
                logprobs = None
        if not delta.text and logprobs is None and delta.finish_reason is None:
            return []
        return [self._chunk(choice, delta.text, logprobs, delta.finish_reason)]

    def end(self) -> list[bytes]:
        if not self.include_usage:
            return []
        return [self._start + b'],"usage":' + orjson.dumps(self.tally.usage()) + b"}"]

    def _chunk(
        self, choice: int, text: str, logprobs: dict[str, Any] | None, finish: str | None
    ) -> bytes:
        body = {"index": choice, "text": text, "logprobs": logprobs, "finish_reason": finish}
        return self._start + orjson.dumps(body) + self._stop


class TextCompletion(WholeBuilder):
    def __init__(
        self,
        head: Head,
        *,
        n: int = 1,
        prompts: int = 1,
        logprobs: bool = False,
        echo: bool = False,
    ) -> None:
        super().__init__(head, n=n, prompts=prompts)
        self.echo = echo
        self._builders = [LegacyLogprobs() for _ in range(self.choices)] if logprobs else None
        self._logprobs: list[list[dict[str, Any]]] = [[] for _ in range(self.choices)]

    def started(self, position: int, prompt_tokens: int, prompt_text: str | None) -> list[bytes]:
        if self.echo and prompt_text is not None:
            for index in range(self.n):
                self.texts[position * self.n + index].append(prompt_text)
        return super().started(position, prompt_tokens, prompt_text)

    def grow(self, choice: int, position: int, delta: TokenDelta) -> list[bytes]:
        if self._builders is not None and delta.logprobs:
            self._logprobs[choice].append(self._builders[choice].add(delta.logprobs))
        return super().grow(choice, position, delta)

    def result(self) -> dict[str, Any]:
        return {
            "id": self.head.id,
            "object": "text_completion",
            "created": self.head.created,
            "model": self.head.model,
            "choices": [
                {
                    "index": choice,
                    "text": "".join(self.texts[choice]),
                    "logprobs": merge_legacy(self._logprobs[choice]) if self._builders else None,
                    "finish_reason": self.tally.finish_reasons.get(choice),
                }
                for choice in range(self.choices)
            ],
            "usage": self.tally.usage(),
            "system_fingerprint": self.head.fingerprint,
        }
