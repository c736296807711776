"""`text_completion`, whole and in chunks, exactly as OpenAI's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from tricorn.chat.best_of import Ranking
from tricorn.chat.logprobs import LegacyLogprobs, merge_legacy
from tricorn.chat.prompt_logprobs import by_token_id, echoed
from tricorn.chat.response import Builder, Head, TextKeeper
from tricorn.engines.request import TokenDelta, TokenLogprob


class TextChunks(Builder):
    """echo: each choice begins with a chunk that repeats its prompt; echo_logprobs: with the
    logprobs of its tokens, and as many alternatives. continuous_usage: every chunk tells what was
    used so far."""

    def __init__(
        self,
        head: Head,
        *,
        n: int = 1,
        prompts: int = 1,
        include_usage: bool = False,
        continuous_usage: bool = False,
        logprobs: bool = False,
        echo: bool = False,
        echo_logprobs: int | None = None,
    ) -> None:
        super().__init__(head, n=n, prompts=prompts)
        self.include_usage = include_usage
        self._continuous_usage = continuous_usage
        self.echo = echo
        self._echo_logprobs = echo_logprobs
        self._held: dict[int, tuple[str, bytes]] = {}
        """By position: a prompt whose logprobs are still to come, and its first token."""
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

    def started(
        self,
        position: int,
        prompt_tokens: int,
        prompt_text: str | None,
        first_token: bytes | None = None,
    ) -> list[bytes]:
        super().started(position, prompt_tokens, prompt_text, first_token)
        if not self.echo or prompt_text is None:
            return []
        if self._logprobs is None or self._echo_logprobs is None or first_token is None:
            return [self._chunk(c, prompt_text, None, None) for c in self.choices_of(position)]
        self._held[position] = prompt_text, first_token
        for choice in self.choices_of(position):
            self._logprobs[choice] = _after(prompt_text)
        return []

    def grow(self, choice: int, position: int, delta: TokenDelta) -> list[bytes]:
        if delta.prompt_logprobs is None or position not in self._held:
            return self._answer(choice, delta)
        text, first = self._held.pop(position)
        logprobs = echoed(text, first, delta.prompt_logprobs, self._echo_logprobs or 0)
        prompt = [self._chunk(c, text, logprobs, None) for c in self.choices_of(position)]
        return prompt + self._answer(choice, delta)

    def _answer(self, choice: int, delta: TokenDelta) -> list[bytes]:
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
        stop = self._stop
        if self._continuous_usage:
            stop = b'],"usage":' + orjson.dumps(self.tally.usage()) + b"}"
        return self._start + orjson.dumps(body) + stop


class TextCompletion(TextKeeper):
    """n: answers that are computed for each prompt; best: how many of them are given, the likeliest
    ones; None: all. prompt_logprobs: give vLLM's field, with as many alternatives."""

    def __init__(
        self,
        head: Head,
        *,
        n: int = 1,
        best: int | None = None,
        prompts: int = 1,
        logprobs: bool = False,
        echo: bool = False,
        echo_logprobs: int | None = None,
        prompt_logprobs: int | None = None,
    ) -> None:
        super().__init__(head, n=n, prompts=prompts)
        self.echo = echo
        self._best = best
        self._ranking = Ranking()
        self._echo_logprobs = echo_logprobs
        self._prompt_logprobs = prompt_logprobs
        self._held: dict[int, tuple[str, bytes]] = {}
        self._of_prompts: dict[int, dict[str, Any]] = {}
        """By position: the logprobs of a prompt that is repeated …"""
        self._by_token_id: dict[int, list[dict[str, Any] | None]] = {}
        """… and of one in vLLM's field."""
        self._builders = [LegacyLogprobs() for _ in range(self.choices)] if logprobs else None
        self._logprobs: list[list[dict[str, Any]]] = [[] for _ in range(self.choices)]

    def started(
        self,
        position: int,
        prompt_tokens: int,
        prompt_text: str | None,
        first_token: bytes | None = None,
    ) -> list[bytes]:
        if self.echo and prompt_text is not None:
            for choice in self.choices_of(position):
                self.texts[choice].append(prompt_text)
                if self._builders is not None:
                    self._builders[choice] = _after(prompt_text)
            if first_token is not None:
                self._held[position] = prompt_text, first_token
        return super().started(position, prompt_tokens, prompt_text, first_token)

    def grow(self, choice: int, position: int, delta: TokenDelta) -> list[bytes]:
        if delta.prompt_logprobs is not None:
            self._take_prompt(position, delta.prompt_logprobs)
        if delta.logprobs:
            if self._best is not None:
                self._ranking.add(choice, delta.logprobs)
            if self._builders is not None:
                self._logprobs[choice].append(self._builders[choice].add(delta.logprobs))
        return super().grow(choice, position, delta)

    def _take_prompt(self, position: int, entries: list[TokenLogprob]) -> None:
        if self._echo_logprobs is not None:
            text, first = self._held.pop(position)
            self._of_prompts[position] = echoed(text, first, entries, self._echo_logprobs)
        if self._prompt_logprobs is not None:
            self._by_token_id[position] = by_token_id(entries, self._prompt_logprobs)

    def result(self) -> dict[str, Any]:
        shown = [
            choice
            for position in range(self.choices // self.n)
            for choice in self._shown(self.choices_of(position))
        ]
        return {
            "id": self.head.id,
            "object": "text_completion",
            "created": self.head.created,
            "model": self.head.model,
            "choices": [self._choice(index, choice) for index, choice in enumerate(shown)],
            "usage": self.tally.usage(),
            "system_fingerprint": self.head.fingerprint,
        }

    def _shown(self, choices: range) -> Sequence[int]:
        return choices if self._best is None else self._ranking.best(choices, self._best)

    def _choice(self, index: int, choice: int) -> dict[str, Any]:
        position = choice // self.n
        logprobs = None
        if self._builders is not None:
            prompt = [self._of_prompts[position]] if position in self._of_prompts else []
            logprobs = merge_legacy(prompt + self._logprobs[choice])
        body = {
            "index": index,
            "text": "".join(self.texts[choice]),
            "logprobs": logprobs,
            "finish_reason": self.tally.finish_reasons.get(choice),
        }
        if self._prompt_logprobs is not None:
            body["prompt_logprobs"] = self._by_token_id[position]
        return body


def _after(prompt: str) -> LegacyLogprobs:
    """Of an answer that stands behind its prompt; every token counts, as in the prompt."""
    return LegacyLogprobs(offset=len(prompt), every_token=True)
