"""A request with one answer and no stream: vectors, scores, token ids."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tricorn.engines.spec import LoadedModel
from tricorn.gateway.guard import estimate
from tricorn.gateway.requests.errand import Errand
from tricorn.gateway.services import Services
from tricorn.manager.protocol.calls import Granted
from tricorn.worker import protocol
from tricorn.worker.client import EngineClient

Part = protocol.Vectors | protocol.Scored | protocol.Tokenized | protocol.Detokenized


def no_check(_lease: Granted) -> None:
    """Every model can do it."""


@dataclass(frozen=True)
class Ask:
    """make: the engine worker's request, for its number.
    check: raises a RequestError for a model that cannot do it.
    keep_alive_s: as in `Acquire`.
    """

    model: str
    request_id: str
    make: Callable[[int], protocol.Request]
    check: Callable[[Granted], None] = no_check
    keep_alive_s: float | None = None


@dataclass(frozen=True)
class Answer:
    """What the engine gave, in its order."""

    model_id: str
    model: LoadedModel
    retried: bool
    parts: list[Part] = field(default_factory=list)


class Call(Errand[Answer]):
    """Its only event is the whole answer. sock, key: as in `Errand`."""

    def __init__(self, services: Services, ask: Ask, sock: Any = None, key: str = "") -> None:
        self._ask = ask
        super().__init__(
            services, ask.model, ask.request_id, sock, key=key, keep_alive_s=ask.keep_alive_s
        )

    def _reserve(self) -> int:
        match self._ask.make(0):
            case protocol.Embed(prompts=prompts):
                return sum(map(estimate.of_prompt, prompts))
            case protocol.Score(queries=queries, documents=documents):
                return estimate.of_pairs(queries, documents)
        return 0

    def _start(self, lease: Granted, engine: EngineClient) -> None:
        self._ask.check(lease)
        self._answer = Answer(lease.model_id, lease.model, self._retried)
        self._running[engine.ask(self._ask.make, self._inbox)] = 0

    def _told(self, arrived: object) -> Answer | None:
        match arrived:
            case (
                protocol.Vectors(number)
                | protocol.Scored(number)
                | protocol.Tokenized(number)
                | protocol.Detokenized(number)
            ) if number in self._running:
                self._answer.parts.append(arrived)
                if isinstance(arrived, protocol.Vectors | protocol.Scored):
                    self.prompt_tokens += arrived.prompt_tokens
            case protocol.Finished(number) if number in self._running:
                self._ended(number)
                return self._answer
        return None
