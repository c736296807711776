"""Stop strings that do not count in thoughts and calls. Pure: vLLM, which looks for its own
everywhere, is not told of them."""

from __future__ import annotations

import msgspec

from tricorn.chat.text import TextStream
from tricorn.engines.request import SamplingParams, TokenDelta


def are_ours(sampling: SamplingParams) -> bool:
    """They are looked for here, not by vLLM."""
    return bool(sampling.stop) and (sampling.thought is not None or sampling.calls is not None)


class Stops:
    """Ends the sequences of one request."""

    def __init__(self, sampling: SamplingParams) -> None:
        self._sampling = sampling
        self._active = are_ours(sampling)
        self._texts: dict[int, TextStream] = {}
        self._tokens: dict[int, int] = {}
        self._ended: set[int] = set()

    @property
    def all_ended(self) -> bool:
        return len(self._ended) == self._sampling.n

    def cut(self, delta: TokenDelta) -> TokenDelta | None:
        """The delta up to a stop string, which ends its sequence; None where that is over."""
        if not self._active:
            return delta
        index, sampling = delta.index, self._sampling
        if index in self._ended:
            return None
        stream = self._texts.get(index)
        if stream is None:
            stream = self._texts[index] = TextStream.of(sampling)
        self._tokens[index] = self._tokens.get(index, 0) + len(delta.token_ids)
        may_stop = self._tokens[index] > sampling.min_tokens
        text, stop = stream.push(delta.text.encode(), check_stop=may_stop)
        finish, reason = delta.finish_reason, delta.stop_reason
        if stop is not None:
            finish, reason = "stop", stop
        elif finish is not None:
            text += stream.finish()
        if finish is not None:
            self._ended.add(index)
        return msgspec.structs.replace(delta, text=text, finish_reason=finish, stop_reason=reason)
