"""From a row of logits to a token, on MLX's arrays: one `Sampler` a sequence.

The batch generator works one step ahead: while a token is handed out the next is being computed. So
everything here stays an unevaluated array until `take`; only a constraint has to know the last
token, and waits for it.

The order is that of the other engines (what is forbidden, bias, penalties, temperature, then the
cuts), so that a request means the same on all of them.
"""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import mlx.core as mx
import numpy as np
import numpy.typing as npt

from tricorn.engines.request import SamplingParams, TokenLogprob
from tricorn.engines.thoughts import Thought
from tricorn.errors import TricornError

WARM_UP = SamplingParams(
    temperature=0.5, top_k=5, top_p=0.5, min_p=0.1, repetition_penalty=2.0, logprobs=1
)
"""With it a sampler uses all it has."""


class Matcher(Protocol):
    """A constraint's state; see `tricorn.engines.constraints`."""

    def mask(self, logits: npt.NDArray[np.float32]) -> None: ...

    def accept(self, token: int) -> None: ...


@dataclass(frozen=True)
class _Drawn:
    """A token that is drawn but perhaps not computed yet; all arrays."""

    token: Any
    logprob: Any = None
    top: tuple[Any, Any] | None = None
    """(ids, logprobs), best first."""


def greedy(logprobs: Any) -> Any:
    """The sampler of all sequences that are `Sampler.plain`: one call for the whole batch."""
    return mx.argmax(logprobs, axis=-1)


class Sampler:
    """Feed it each step's logits by `process`, then `draw`; `take` gives what else is known of the
    tokens, in that order. Where it is `plain` or does not `change` logits it need not see them.

    prompt: token ids that the repetition penalty sees besides the generated ones.
    end_tokens: ids that end an answer; they may not come before `min_tokens` were generated, nor
        ever with `ignore_eos`.
    thought: where it may have only so many tokens.
    """

    def __init__(
        self,
        sampling: SamplingParams,
        index: int,
        *,
        vocab_size: int,
        prompt: list[int],
        end_tokens: frozenset[int],
        matcher: Matcher | None = None,
        thought: Thought | None = None,
    ) -> None:
        self._sampling = sampling
        self._thought = thought
        self._untold: list[Any] = []
        """Tokens that the thought does not know of yet."""
        self._vocab_size = vocab_size
        self._matcher = matcher
        self.error: TricornError | None = None
        """Why the constraint cannot be followed beyond the last token that `take` may give."""
        never = end_tokens if sampling.ignore_eos else frozenset()
        not_yet = {*end_tokens, *sampling.stop_token_ids} if sampling.min_tokens else never
        self._never, self._not_yet = self._marked(never), self._marked(not_yet)
        self._bias = self._dense(sampling.logit_bias) if sampling.logit_bias else None
        self._in_prompt = mx.array(self._marked(set(prompt))) if self._repeats else None
        self._counts: Any = mx.zeros(vocab_size) if self._repeats or self._counted else None
        # Sequences of one request must differ although they share the seed.
        seed = secrets.randbits(32) if sampling.seed is None else sampling.seed + index
        self._key = mx.random.key(seed & 0xFFFFFFFF)
        self.changes = bool(
            never
            or not_yet
            or sampling.logit_bias
            or self._repeats
            or self._counted
            or matcher
            or thought
        )
        self.plain = not self.changes and sampling.temperature == 0 and sampling.logprobs is None
        self._steps = 0
        self._last: Any = None
        self._raw: Any = None
        self._drawn: deque[_Drawn] = deque()

    # --- what the batch generator calls ----------------------------------------------------------

    def process(self, _tokens: Any, logits: Any) -> Any:
        """Its logits processor. logits: [1, vocab_size], float32."""
        self._raw = logits
        forbidden = self._forbidden()
        if forbidden is not None:
            logits = mx.where(mx.array(forbidden), -mx.inf, logits)
        if self._bias is not None:
            logits = logits + self._bias
        if self._in_prompt is not None:
            penalty = self._sampling.repetition_penalty
            weakened = mx.where(logits > 0, logits / penalty, logits * penalty)
            logits = mx.where(self._in_prompt | (self._counts > 0), weakened, logits)
        if self._counted:
            # Only the answer counts, as OpenAI defines these two.
            logits = logits - self._counts * self._sampling.frequency_penalty
            logits = logits - (self._counts > 0) * self._sampling.presence_penalty
        return logits

    def draw(self, logprobs: Any) -> Any:
        """Its sampler. logprobs: [1, vocab_size], the processed logits normalised; gives [1]."""
        token = self._choose(logprobs)
        self._steps += 1
        self._last = token
        if self._thought is not None:
            self._untold.append(token)
        if self._counts is not None:
            self._counts = self._counts.at[token].add(1.0)
        drawn = _Drawn(token)
        if self._sampling.logprobs is not None:
            if self._raw is not None:
                logprobs = self._raw - mx.logsumexp(self._raw, axis=-1, keepdims=True)
            drawn = _with_logprobs(token, logprobs[0], self._sampling.logprobs)
        self._raw = None
        self._drawn.append(drawn)
        return token

    # --- what the engine calls -------------------------------------------------------------------

    @property
    def pending(self) -> int:
        """Tokens that were drawn and not taken; the sampler has gone on beyond them."""
        return len(self._drawn)

    def next_token(self) -> int:
        """The oldest one that was not taken."""
        return int(self._drawn[0].token.item())

    def take(self, token: int, piece: Callable[[int], bytes]) -> TokenLogprob | None:
        """`token` is the oldest one that was not taken: its logprobs where they are wanted."""
        if self.plain:
            return None
        drawn = self._drawn.popleft()
        if drawn.logprob is None:
            return None
        top: list[TokenLogprob] = []
        if drawn.top is not None:
            ids, values = drawn.top[0].tolist(), drawn.top[1].tolist()
            top = [TokenLogprob(piece(i), v, i) for i, v in zip(ids, values, strict=True)]
        return TokenLogprob(piece(token), float(drawn.logprob.item()), token, top)

    # --- steps -----------------------------------------------------------------------------------

    @property
    def _repeats(self) -> bool:
        # Prompt and answer count, as in vLLM and Hugging Face.
        return self._sampling.repetition_penalty != 1.0

    @property
    def _counted(self) -> bool:
        return bool(self._sampling.frequency_penalty or self._sampling.presence_penalty)

    def _forbidden(self) -> npt.NDArray[np.bool_] | None:
        """Tokens that may not come now: [vocab_size]; None: all may."""
        early = self._steps < self._sampling.min_tokens
        banned = self._not_yet if early else self._never
        outside = self._outside_constraint()
        forced = self._forced()
        if forced is not None:
            return ~self._marked({forced})
        if outside is None:
            return banned if banned.any() else None
        both = outside | banned
        # A constraint that is fulfilled allows end tokens alone: nothing else is left to give.
        return outside if both.all() else both

    def _outside_constraint(self) -> npt.NDArray[np.bool_] | None:
        if self._matcher is None or self.error is not None:
            return None
        mask = np.zeros(self._vocab_size, dtype=np.float32)
        try:
            if self._last is not None:
                self._matcher.accept(int(self._last.item()))
            self._matcher.mask(mask)
        except TricornError as error:
            # The batch generator goes on with the others; the engine ends this one.
            self.error = error
            return None
        outside: npt.NDArray[np.bool_] = mask < 0
        return outside

    def _forced(self) -> int | None:
        """The token that ends a thought, where that is due."""
        thought = self._thought
        # To know the last token is to wait for it, so that is put off as long as possible.
        if thought is None or self._steps < thought.patience:
            return None
        for token in self._untold:
            thought.took(int(token.item()))
        self._untold = []
        if thought.over:
            self._thought = None
        return thought.forced()

    def _choose(self, logprobs: Any) -> Any:
        s = self._sampling
        if s.temperature == 0:
            return greedy(logprobs)
        self._key, key = mx.random.split(self._key)
        scaled = logprobs / s.temperature
        order = None
        if 0 < s.top_k < self._vocab_size:
            order = mx.argpartition(-scaled, s.top_k - 1, axis=-1)[:, : s.top_k]
            scaled = mx.take_along_axis(scaled, order, axis=-1)
        if s.top_p < 1.0:
            best = mx.argsort(-scaled, axis=-1)
            scaled = mx.take_along_axis(scaled, best, axis=-1)
            order = best if order is None else mx.take_along_axis(order, best, axis=-1)
            share = mx.softmax(scaled, axis=-1)
            before = mx.cumsum(share, axis=-1) - share
            # The likeliest stays whatever top_p is.
            likeliest = mx.arange(scaled.shape[-1]) == 0
            scaled = mx.where((before < s.top_p) | likeliest, scaled, -mx.inf)
        if s.min_p > 0.0:
            floor = scaled.max(axis=-1, keepdims=True) + float(np.log(s.min_p))
            scaled = mx.where(scaled >= floor, scaled, -mx.inf)
        chosen = mx.random.categorical(scaled, axis=-1, key=key)
        if order is None:
            return chosen
        return mx.take_along_axis(order, chosen[:, None], axis=-1)[:, 0]

    def _marked(self, tokens: frozenset[int] | set[int]) -> npt.NDArray[np.bool_]:
        marks = np.zeros(self._vocab_size, dtype=np.bool_)
        marks[[token for token in tokens if 0 <= token < self._vocab_size]] = True
        return marks

    def _dense(self, bias: dict[int, float]) -> Any:
        values = np.zeros(self._vocab_size, dtype=np.float32)
        values[list(bias)] = list(bias.values())
        return mx.array(values)


def _with_logprobs(token: Any, logprobs: Any, alternatives: int) -> _Drawn:
    """logprobs: [vocab_size], under the model's own distribution: before penalties and such."""
    top = None
    if alternatives:
        count = min(alternatives, logprobs.shape[0])
        best = mx.argpartition(-logprobs, count - 1)[:count]
        best = best[mx.argsort(-logprobs[best])]
        top = best, logprobs[best]
    drawn = _Drawn(token, logprobs[token], top)
    # Begun now, so that `take` does not have to wait for the step that comes after.
    mx.async_eval(drawn.logprob, *(top or ()))
    return drawn
