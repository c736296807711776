"""From vLLM's `RequestOutput`s (of kind DELTA) to token deltas. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol

import msgspec

from tricorn.engines.request import FinishReason, GenerateRequest, TokenDelta, TokenLogprob
from tricorn.engines.vllm.sampling import sequences
from tricorn.engines.vllm.tokens import TokenBytes
from tricorn.errors import EngineGenerateError


class Logprob(Protocol):
    @property
    def logprob(self) -> float: ...

    @property
    def rank(self) -> int | None: ...


class Completion(Protocol):
    """What was added to one sequence."""

    index: int
    text: str
    token_ids: Sequence[int]
    logprobs: Sequence[Mapping[int, Logprob]] | None
    finish_reason: str | None
    stop_reason: int | str | None


class Times(Protocol):
    """Seconds, on a clock of vLLM's own; 0 where it has not come so far."""

    queued_ts: float
    scheduled_ts: float


class Output(Protocol):
    outputs: Sequence[Completion]
    num_cached_tokens: int | None
    prompt_token_ids: Sequence[int] | None
    prompt_logprobs: Sequence[Mapping[int, Logprob] | None] | None
    """Of all the prompt's tokens (None for the first), once they are all known; else empty."""
    metrics: Times | None


class OutputReader:
    """Reads the outputs of one request."""

    def __init__(self, request: GenerateRequest, tokens: TokenBytes) -> None:
        self._request = request
        self._sampling = request.sampling
        self._tokens = tokens
        self._copied = sequences(request.sampling) < request.sampling.n
        self._begun: set[int] = set()

    def read(self, output: Output) -> Iterator[TokenDelta]:
        """EngineGenerateError where vLLM gave a sequence up."""
        prompt = self._prompt_logprobs(output)
        self._note_waited(output)
        for completion in output.outputs:
            if self._copied:
                indices = range(self._sampling.n)
            else:
                indices = range(completion.index, completion.index + 1)
            for index in indices:
                yield self._delta(index, completion, output.num_cached_tokens or 0, prompt)
                prompt = None

    def _note_waited(self, output: Output) -> None:
        waited = self._request.waited
        if waited is None or waited.seconds is not None:
            return
        if (times := output.metrics) is not None:
            waited.seconds = max(0.0, times.scheduled_ts - times.queued_ts)

    def _prompt_logprobs(self, output: Output) -> list[TokenLogprob] | None:
        """Before the request's first delta: of the prompt's tokens from the second one on."""
        wanted = self._request.prompt_logprobs
        if wanted is None or self._begun or output.prompt_logprobs is None:
            return None
        whole = self._tokens.whole
        return [
            msgspec.structs.replace(
                self._logprob(token, position, wanted, whole), rank=position[token].rank
            )
            for token, position in zip(
                output.prompt_token_ids or (), output.prompt_logprobs, strict=True
            )
            if position is not None
        ]

    def _delta(
        self,
        index: int,
        completion: Completion,
        cached_tokens: int,
        prompt: list[TokenLogprob] | None,
    ) -> TokenDelta:
        cached = None if index in self._begun else cached_tokens
        self._begun.add(index)
        finish = _finish_reason(completion.finish_reason)
        if self._sampling.max_tokens == 0:
            return TokenDelta(
                index,
                "",
                [],
                finish and "length",
                cached_tokens=cached,
                prompt_logprobs=prompt,
            )
        reason = completion.stop_reason
        if isinstance(reason, int) and reason not in self._sampling.stop_token_ids:
            reason = None  # one of the model's own end tokens, where it has several
        return TokenDelta(
            index,
            completion.text,
            list(completion.token_ids),
            finish,
            reason,
            self._logprobs(completion),
            cached,
            prompt,
        )

    def _logprobs(self, completion: Completion) -> list[TokenLogprob] | None:
        wanted = self._sampling.logprobs
        if wanted is None or completion.logprobs is None:
            return None
        shown = self._tokens.shown
        return [
            self._logprob(token, position, wanted, shown)
            for token, position in zip(completion.token_ids, completion.logprobs, strict=False)
        ]

    @staticmethod
    def _logprob(
        token: int, position: Mapping[int, Logprob], wanted: int, name: Callable[[int], bytes]
    ) -> TokenLogprob:
        # The chosen token comes on top of the likeliest ones, unless it is one of them.
        likeliest = [t for t in position if t != token or len(position) <= wanted]
        likeliest.sort(key=lambda t: -position[t].logprob)
        top = [TokenLogprob(name(t), position[t].logprob, t) for t in likeliest[:wanted]]
        return TokenLogprob(name(token), position[token].logprob, token, top)


def _finish_reason(reason: str | None) -> FinishReason | None:
    match reason:
        case None:
            return None
        case "stop" | "repetition":
            return "stop"
        case "length":
            return "length"
        case other:
            raise EngineGenerateError(f"vLLM ended this request early: {other}")
