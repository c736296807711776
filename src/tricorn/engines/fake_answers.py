"""What the fake engine answers: bytes of the last message, with probabilities that are made up."""

from __future__ import annotations

import msgspec

from tricorn.chat.text import TextStream
from tricorn.engines.request import GenerateRequest, TokenLogprob
from tricorn.engines.thoughts import Thought

EOS = 256


class FakeSequence:
    """One of a request's sequences."""

    def __init__(self, request: GenerateRequest, index: int, answer: bytes, endless: bool) -> None:
        self.request = request
        self.index = index
        self.answer = answer
        self.endless = endless
        self.text = TextStream.of(request.sampling)
        self.generated = 0
        limit = request.sampling.thought_limit
        self._thought = None if limit is None else Thought(limit, lambda token: bytes([token]))
        self._at = 0
        """What of the answer comes next."""
        self._forced = False

    def next_token(self) -> int:
        token = None if self._thought is None else self._thought.forced()
        if token is not None and not self._forced:
            self._skip_thought()
        self._forced = token is not None
        if token is None:
            at = self._at % len(self.answer) if self.endless else self._at
            token = self.answer[at] if at < len(self.answer) else EOS
            self._at += 1
        if self._thought is not None and token != EOS:
            self._thought.took(token)
        return token

    def _skip_thought(self) -> None:
        """As a model would, the answer goes on behind its thought when that is ended."""
        limit = self.request.sampling.thought_limit
        assert limit is not None
        end = limit.end.encode()
        if (at := self.answer.find(end, self._at)) >= 0:
            self._at = at + len(end)


def last_message(prompt: str) -> str:
    lines = [line for line in prompt.removesuffix("assistant: ").splitlines() if line.strip()]
    last = lines[-1] if lines else "nothing"
    role, colon, content = last.partition(": ")
    return content if colon and role in ("system", "user", "assistant", "tool") else last


def prompt_logprobs(request: GenerateRequest) -> list[TokenLogprob] | None:
    wanted = request.prompt_logprobs
    if wanted is None:
        return None
    entries = [token_logprob(token, wanted) for token in request.prompt_token_ids[1:]]
    return [msgspec.structs.replace(entry, rank=1) for entry in entries]


def token_logprob(token: int, alternatives: int) -> TokenLogprob:
    """Made up, but consistent: the chosen token at -0.1, then the next ids at -1, -2, …"""

    def name(number: int) -> bytes:
        return b"" if number >= EOS else bytes([number])

    top = [TokenLogprob(name(token), -0.1, token)]
    top += [
        TokenLogprob(name((token + i) % 256), -float(i), (token + i) % 256)
        for i in range(1, alternatives)
    ]
    return TokenLogprob(name(token), -0.1, token, top[:alternatives])
