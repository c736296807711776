"""One request's way through manager and engine: lease, start, events, one retry, release.

    ACQUIRING ──Granted──► RUNNING ──all Finished──► ENDED
        ▲                     │
        └── engine lost, first time, nothing sent to the client ──┘

Everything that can happen arrives in one inbox: the manager's answer, the engine's events and the
watcher's GONE. Whoever creates a Generation closes it, whatever happened; that withdraws, cancels,
releases and unwatches what is still held.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any

import structlog

from tricorn.engines.base import EngineCapabilities, LoadedModel, SamplingParams, TokenDelta
from tricorn.errors import (
    EngineLost,
    InvalidRequest,
    Overloaded,
    TricornError,
    UnsupportedParameter,
    from_info,
)
from tricorn.gateway.disconnect import GONE
from tricorn.gateway.errors import ClientGone
from tricorn.gateway.services import Services
from tricorn.manager.protocol import Granted
from tricorn.worker import protocol
from tricorn.worker.client import EngineClient

GRACE_S = 30.0
"""The manager bounds every wait; this much later the gateway stops believing in an answer."""

log = structlog.get_logger(part="gateway")


@dataclass(frozen=True)
class Job:
    """What to generate. Each prompt gets `sampling.n` sequences."""

    model: str
    request_id: str
    prompts: Sequence[protocol.Prompt]
    sampling: SamplingParams
    echo: bool = False
    """The prompt's text is wanted in `PromptTaken`."""


@dataclass(frozen=True)
class Leased:
    """A replica is ours. Comes again after a retry: what came before it is void."""

    model_id: str
    model: LoadedModel
    retried: bool


@dataclass(frozen=True)
class PromptTaken:
    position: int
    prompt_tokens: int
    prompt_text: str | None


@dataclass(frozen=True)
class Grown:
    position: int
    delta: TokenDelta


@dataclass(frozen=True)
class Ended:
    """Every sequence of every prompt has ended."""


Event = Leased | PromptTaken | Grown | Ended


class Generation:
    """sock: the client's connection, where the server gives it; watched until `close`."""

    def __init__(self, services: Services, job: Job, sock: Any = None) -> None:
        self._services = services
        self._manager = services.manager
        self._job = job
        self._inbox: SimpleQueue[object] = SimpleQueue()
        self._call: int | None = None
        self._lease: Granted | None = None
        self._engine: EngineClient | None = None
        self._running: dict[int, int] = {}
        self._retried = False
        self.committed = False
        """Set by the handler once the client has been sent a part of the answer."""
        self._ticket = None if sock is None else services.watcher.watch(sock, self._inbox)
        self._acquire()

    def next(self, timeout_s: float) -> Event | None:
        """What happens next; None when nothing does for `timeout_s`.

        ClientGone when the client has left; TricornError when the request failed.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                left = deadline - time.monotonic()
                arrived = self._inbox.get(block=left > 0, timeout=left if left > 0 else None)
            except Empty:
                self._check_wait()
                return None
            if arrived is GONE:
                raise ClientGone
            event = self._handle(arrived)
            if event is not None:
                return event

    def close(self) -> None:
        """Give back whatever is still held. Safe to call twice."""
        if self._ticket is not None:
            self._services.watcher.unwatch(self._ticket)
            self._ticket = None
        self._stop()
        if self._call is not None:
            call, self._call = self._call, None
            self._manager.withdraw(call)
        self._release(lost=False)

    def _acquire(self) -> None:
        settings = self._services.settings
        self._give_up_at = (
            time.monotonic() + settings.load_timeout_s + settings.max_wait_s + GRACE_S
        )
        self._call = self._manager.acquire(self._job.model, self._job.request_id, self._inbox)

    def _check_wait(self) -> None:
        if self._call is not None and time.monotonic() > self._give_up_at:
            raise Overloaded(
                f"No replica of '{self._job.model}' became free in time.", retry_after_s=5
            )

    def _handle(self, arrived: object) -> Event | None:
        match arrived:
            case Granted():
                return self._granted(arrived)
            case protocol.Started(number, tokens, text) if number in self._running:
                return self._taken(self._running[number], tokens, text)
            case protocol.Delta(number, delta) if number in self._running:
                return Grown(self._running[number], delta)
            case protocol.Finished(number) if number in self._running:
                del self._running[number]
                if not self._running:
                    self._release(lost=False)
                    return Ended()
            case protocol.Failed(number, info) if number in self._running:
                self._failed(from_info(info))
            case TricornError():
                self._call = None
                raise arrived
        # An event of a number that is no longer running belongs to a try that was given up.
        return None

    def _granted(self, lease: Granted) -> Event | None:
        self._call = None
        self._lease = lease
        job = self._job
        _check_vocabulary(job.sampling, lease.model.vocab_size)
        _check_capabilities(job, lease.model.capabilities)
        try:
            self._engine = self._services.engines.client(lease.address, lease.secret)
            for position, prompt in enumerate(job.prompts):
                number = self._engine.start(
                    request_id=job.request_id,
                    prompt=prompt,
                    sampling=job.sampling,
                    inbox=self._inbox,
                    prompt_text=job.echo and isinstance(prompt, protocol.TokenPrompt),
                )
                self._running[number] = position
        except EngineLost as error:
            self._failed(error)
            return None
        return Leased(lease.model_id, lease.model, self._retried)

    def _taken(self, position: int, tokens: int, text: str | None) -> PromptTaken:
        prompt = self._job.prompts[position]
        # The engine's text of a text prompt would have what the tokenizer put around it.
        if self._job.echo and isinstance(prompt, protocol.TextPrompt):
            text = prompt.text
        return PromptTaken(position, tokens, text)

    def _failed(self, error: TricornError) -> None:
        """Raise it, or try once more where that is safe."""
        self._stop()
        if not isinstance(error, EngineLost):
            raise error
        self._release(lost=True)
        if self._retried or self.committed:
            raise error
        self._retried = True
        log.warning("engine lost, trying again", request_id=self._job.request_id)
        self._acquire()

    def _stop(self) -> None:
        running, self._running = self._running, {}
        if self._engine is not None:
            for number in running:
                self._engine.cancel(number)

    def _release(self, *, lost: bool) -> None:
        if self._lease is not None:
            lease, self._lease = self._lease, None
            self._manager.release(lease.lease, lost=lost)


def _check_vocabulary(sampling: SamplingParams, size: int) -> None:
    """Refuse token ids that the model does not have; which it has is known with the lease."""
    for param, ids in (
        ("logit_bias", sampling.logit_bias),
        ("stop_token_ids", sampling.stop_token_ids),
    ):
        for token in ids:
            if token >= size:
                raise InvalidRequest(
                    f"Invalid value for '{param}': this model's token ids end at {size - 1}, "
                    f"got {token}.",
                    param=param,
                )


def _check_capabilities(job: Job, capabilities: EngineCapabilities) -> None:
    """Refuse what this model's engine cannot do."""
    constraint = job.sampling.constraint
    if constraint is not None and not capabilities.constraints:
        raise UnsupportedParameter(
            f"'{constraint.param}' is not supported by the engine that serves '{job.model}'.",
            param=constraint.param,
        )
