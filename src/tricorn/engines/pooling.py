"""Prompts that wait for their vectors, of all requests, and the batches they leave in. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tricorn.errors import TricornError

Vectors = list[list[float]]
"""One a prompt, in the prompts' order."""

PooledOutput = tuple[str, Vectors | TricornError]
"""(request name, all that it asked for)."""


@dataclass
class _Request:
    name: str
    prompts: Sequence[list[int]]
    vectors: Vectors = field(default_factory=list)
    taken: int = 0
    """Prompts that went into a batch so far."""


class PoolingQueue:
    """First come, first served; prompts of several requests share a batch.

    compute: one vector a prompt, for a batch; a TricornError fails those who are in it.
    max_prompts, max_tokens: of a batch. No prompt is longer than max_tokens.
    """

    def __init__(
        self,
        compute: Callable[[list[list[int]]], Vectors],
        *,
        max_prompts: int,
        max_tokens: int,
    ) -> None:
        self._compute = compute
        self._max_prompts = max_prompts
        self._max_tokens = max_tokens
        self._requests: deque[_Request] = deque()
        self.waiting = 0
        """Prompts in no batch yet."""
        self.running = 0
        """Prompts in the batch that is being computed."""
        self.prompt_tokens = 0
        """Computed since load."""

    def add(self, name: str, prompts: Sequence[list[int]]) -> None:
        """At least one prompt."""
        self._requests.append(_Request(name, prompts))
        self.waiting += len(prompts)

    def abort(self, name: str) -> None:
        for request in [request for request in self._requests if request.name == name]:
            self._requests.remove(request)
            self.waiting -= len(request.prompts) - request.taken

    @property
    def busy(self) -> bool:
        return bool(self._requests)

    def step(self) -> list[PooledOutput]:
        """Compute a batch; what is complete by it."""
        batch = self._take()
        prompts = [prompt for _request, prompt in batch]
        self.running = len(batch)
        self.waiting -= len(batch)
        try:
            vectors = self._compute(prompts)
        except TricornError as error:
            failed = dict.fromkeys(request.name for request, _prompt in batch)
            for name in failed:
                self.abort(name)
            return [(name, error) for name in failed]
        finally:
            self.running = 0
        self.prompt_tokens += sum(map(len, prompts))
        for (request, _prompt), vector in zip(batch, vectors, strict=True):
            request.vectors.append(vector)
        return self._complete()

    def _take(self) -> list[tuple[_Request, list[int]]]:
        batch: list[tuple[_Request, list[int]]] = []
        tokens = 0
        for request in self._requests:
            for prompt in request.prompts[request.taken :]:
                tokens += len(prompt)
                if len(batch) == self._max_prompts or (batch and tokens > self._max_tokens):
                    return batch
                batch.append((request, prompt))
                request.taken += 1
        return batch

    def _complete(self) -> list[PooledOutput]:
        complete: list[PooledOutput] = []
        while self._requests and len(self._requests[0].vectors) == len(self._requests[0].prompts):
            request = self._requests.popleft()
            complete.append((request.name, request.vectors))
        return complete
