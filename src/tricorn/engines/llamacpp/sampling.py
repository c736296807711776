"""From a row of logits to a token: llama.cpp's own samplers, one chain a sequence.

The order is that of OpenAI's and vLLM's servers (bias, penalties, temperature, then the cuts), so
that a request means the same on every engine.
"""

from __future__ import annotations

import ctypes
import secrets
from collections.abc import Callable

import llama_cpp
import numpy as np
import numpy.typing as npt

from tricorn.engines.constraints import Matcher
from tricorn.engines.request import SamplingParams, TokenLogprob
from tricorn.engines.thoughts import Thought

Logits = npt.NDArray[np.float32]

_CANDIDATE = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])


class Candidates:
    """The array that the samplers work on; one an engine, used for one row at a time."""

    def __init__(self, vocab_size: int) -> None:
        self._ids = np.arange(vocab_size, dtype=np.int32)
        self._data = np.zeros(vocab_size, dtype=_CANDIDATE)
        self._pointer = self._data.ctypes.data_as(llama_cpp.llama_token_data_p)

    def sample(self, chain: int, logits: Logits, only: npt.NDArray[np.int64] | None = None) -> int:
        """only: the ids to choose from; None: all."""
        count = len(self._ids) if only is None else len(only)
        self._data["id"][:count] = self._ids if only is None else only
        self._data["logit"][:count] = logits if only is None else logits[only]
        array = llama_cpp.llama_token_data_array(
            data=self._pointer, size=count, selected=-1, sorted=False
        )
        llama_cpp.llama_sampler_apply(chain, ctypes.byref(array))
        return int(self._data["id"][array.selected])


class Sampler:
    """One sequence's chain. Plain greedy needs none: argmax is all.

    prompt: token ids that the repetition penalty sees besides the generated ones.
    end_tokens: ids that end an answer; they may not come before `min_tokens` were generated, nor
        ever with `ignore_eos`; except where a finished constraint leaves nothing else.
    matcher: of the sequence's constraint.
    thought: where it may have only so many tokens.
    """

    def __init__(
        self,
        candidates: Candidates,
        sampling: SamplingParams,
        index: int,
        *,
        vocab_size: int,
        prompt: list[int],
        end_tokens: frozenset[int],
        matcher: Matcher | None = None,
        thought: Thought | None = None,
    ) -> None:
        self._candidates = candidates
        self._sampling = sampling
        self._matcher = matcher
        self._thought = thought
        self._never = sorted(end_tokens) if sampling.ignore_eos else []
        self._not_yet = sorted({*end_tokens, *sampling.stop_token_ids})
        self._chain: int | None = None
        if not self._plain_greedy():
            self._chain = _build_chain(sampling, index, vocab_size, prompt)

    def _plain_greedy(self) -> bool:
        s = self._sampling
        penalties = s.presence_penalty or s.frequency_penalty or s.repetition_penalty != 1.0
        return s.temperature == 0 and not penalties and not s.logit_bias

    def sample(self, logits: Logits, generated: int) -> int:
        """The next token, after `generated` ones. `logits` stays as it is.

        EngineGenerateError where the constraint cannot be followed further.
        """
        forced = None if self._thought is None else self._thought.forced()
        token = self._choose(logits, generated) if forced is None else forced
        if self._chain is not None:
            llama_cpp.llama_sampler_accept(self._chain, token)
        if self._matcher is not None:
            self._matcher.accept(token)
        if self._thought is not None:
            self._thought.took(token)
        return token

    def _choose(self, logits: Logits, generated: int) -> int:
        if self._matcher is not None:
            logits = logits.copy()
            self._matcher.mask(logits)
        banned = self._not_yet if generated < self._sampling.min_tokens else self._never
        if self._chain is None:
            return self._likeliest(logits, banned)
        return self._draw(self._chain, logits, banned)

    def _likeliest(self, logits: Logits, banned: list[int]) -> int:
        # Most often it is none of the banned ones, and nothing has to be copied.
        best = int(logits.argmax())
        return int(_without(logits, banned).argmax()) if best in banned else best

    def _draw(self, chain: int, logits: Logits, banned: list[int]) -> int:
        logits = _without(logits, banned)
        # A sampler may pick a token of probability zero, once in a very long while.
        only = None if self._matcher is None else np.flatnonzero(logits > -np.inf)
        return self._candidates.sample(chain, logits, only)

    def close(self) -> None:
        if self._chain is not None:
            llama_cpp.llama_sampler_free(self._chain)
            self._chain = None


def _without(logits: Logits, banned: list[int]) -> Logits:
    """A copy in which the banned tokens can't be chosen, where others can."""
    if not banned:
        return logits
    rest = logits.copy()
    rest[banned] = -np.inf
    return rest if rest.max() > -np.inf else logits


def _build_chain(s: SamplingParams, index: int, vocab_size: int, prompt: list[int]) -> int:
    chain: int = llama_cpp.llama_sampler_chain_init(llama_cpp.llama_sampler_chain_default_params())

    def add(sampler: int) -> None:
        llama_cpp.llama_sampler_chain_add(chain, sampler)

    if s.logit_bias:
        biases = (llama_cpp.llama_logit_bias * len(s.logit_bias))(
            *(llama_cpp.llama_logit_bias(token, bias) for token, bias in s.logit_bias.items())
        )
        add(llama_cpp.llama_sampler_init_logit_bias(vocab_size, len(biases), biases))
    if s.repetition_penalty != 1.0:
        # Prompt and answer count, as in vLLM and Hugging Face.
        repetition = llama_cpp.llama_sampler_init_penalties(
            vocab_size, len(prompt) + _LONG, s.repetition_penalty, 0.0, 0.0
        )
        for token in prompt:
            llama_cpp.llama_sampler_accept(repetition, token)
        add(repetition)
    if s.frequency_penalty or s.presence_penalty:
        # Only the answer counts, as OpenAI defines these two.
        add(
            llama_cpp.llama_sampler_init_penalties(
                vocab_size, _LONG, 1.0, s.frequency_penalty, s.presence_penalty
            )
        )
    if s.temperature == 0:
        add(llama_cpp.llama_sampler_init_greedy())
        return chain
    if s.temperature != 1.0:
        add(llama_cpp.llama_sampler_init_temp(s.temperature))
    if s.top_k > 0:
        add(llama_cpp.llama_sampler_init_top_k(s.top_k))
    if s.top_p < 1.0:
        add(llama_cpp.llama_sampler_init_top_p(s.top_p, 1))
    if s.min_p > 0.0:
        add(llama_cpp.llama_sampler_init_min_p(s.min_p, 1))
    # Sequences of one request must differ although they share the seed.
    seed = secrets.randbits(32) if s.seed is None else (s.seed + index) & 0xFFFFFFFF
    if seed == 0xFFFFFFFF:
        seed -= 1  # llama.cpp reads this value as "choose one"
    add(llama_cpp.llama_sampler_init_dist(seed))
    return chain


_LONG = 1 << 15
"""Tokens that a penalty looks back over; longer than the answers it is used for."""


def token_logprob(
    logits: Logits,
    token: int,
    alternatives: int,
    piece: Callable[[int], bytes],
    *,
    ranked: bool = False,
) -> TokenLogprob:
    """Under the model's own distribution, and that of the likeliest tokens."""
    peak = float(logits.max())
    total = peak + float(np.log(np.exp(logits - peak, dtype=np.float64).sum()))
    top: list[TokenLogprob] = []
    if alternatives:
        best = np.argpartition(logits, -alternatives)[-alternatives:]
        best = best[np.argsort(-logits[best], kind="stable")]
        top = [TokenLogprob(piece(int(i)), float(logits[i]) - total, int(i)) for i in best]
    rank = int((logits > logits[token]).sum()) + 1 if ranked else None
    return TokenLogprob(piece(token), float(logits[token]) - total, token, top, rank)
