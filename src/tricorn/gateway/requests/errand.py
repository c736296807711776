"""What every request to a model goes through: lease, start, events, one retry, release.

    ACQUIRING ──Granted──► RUNNING ──all Finished──► ENDED
        ▲                     │
        └── engine lost, first time, nothing sent to the client ──┘

Everything that can happen arrives in one inbox: the manager's answer, the engine's events, the
watcher's GONE and the end of its time. Whoever creates an Errand closes it, whatever happened; that
withdraws, cancels, releases and unwatches what is still held.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any, Generic, TypeVar

import msgspec
import structlog

from tricorn.chat.prefix_chain import Chain
from tricorn.errors import EngineLost, Overloaded, TricornError, from_info
from tricorn.gateway import record
from tricorn.gateway.answers.errors import ClientGone
from tricorn.gateway.guard import access
from tricorn.gateway.http.disconnect import GONE
from tricorn.gateway.http.heartbeat import SILENCE
from tricorn.gateway.orders import pinned
from tricorn.gateway.requests import deadline
from tricorn.gateway.requests.deadline import LATE
from tricorn.gateway.services import Services
from tricorn.manager.protocol.calls import Claim, Granted, Progress
from tricorn.worker import protocol
from tricorn.worker.client import EngineClient

GRACE_S = 30.0
"""The manager bounds every wait; this much later the gateway stops believing in an answer."""

log = structlog.get_logger(part="gateway")

EventT = TypeVar("EventT")


class Errand(ABC, Generic[EventT]):
    """sock: the client's connection, where the server gives it; watched until `close`.

    key, keep_alive_s: as in `Acquire`; the latter only for those who may manage models.
    """

    def __init__(
        self,
        services: Services,
        model: str,
        request_id: str,
        sock: Any = None,
        *,
        key: str = "",
        keep_alive_s: float | None = None,
    ) -> None:
        """PermissionDenied where the key may not use the model."""
        access.must_use(pinned.named(model), lambda: services.everything().models)
        self._identity = access.current()
        self._services = services
        self._manager = services.manager
        self._model = model
        self._wanted = pinned.wanted(model)
        """What a lease is asked for."""
        self._request_id = request_id
        self._key = key
        heeded = keep_alive_s is not None and access.heeds("keep_alive")
        self._keep_alive_s = keep_alive_s if heeded else None
        self._inbox: SimpleQueue[object] = SimpleQueue()
        self._call: int | None = None
        self._lease: Granted | None = None
        self._engine: EngineClient | None = None
        self._running: dict[int, int] = {}
        """Requests in the engine: number → position among those of this errand."""
        self._retried = False
        self._trace = record.trace_headers()
        self.waited_s: float | None = None
        """For a place in the engine's batch, where it is traced and the engine tells."""
        self.prompt_tokens = 0
        """That the engine has taken for it; counted by those that ask for some."""
        self.completion_tokens = 0
        self.on_lease: Callable[[Granted], None] = lambda lease: None
        """Set by the handler: called with each lease, before it is used."""
        self.committed = False
        """Set by the handler once the client has been sent a part of the answer."""
        self._progress: Progress | None = None
        self._progress_at = 0.0
        self.tells_progress = False
        """Set by the handler where it wants to hear at once of news in `progress`."""
        self._allowed = deadline.of_request(services.settings.request_timeout_s)
        self._ticket = None if sock is None else services.watcher.watch(sock, self._inbox)
        self._pulse = services.heartbeat.watch(self._inbox)
        self._due: int | None = None
        if self._allowed is not None:
            self._due = services.deadlines.watch(self._inbox, self._allowed.until)
        self._acquire()

    @abstractmethod
    def _start(self, lease: Granted, engine: EngineClient) -> EventT | None:
        """Ask the engine, and note the numbers in `_running`.

        Called again after a retry: what came before is void. A RequestError refuses the request.
        """

    @abstractmethod
    def _told(self, arrived: object) -> EventT | None:
        """What an engine's event means; those of numbers that no longer run mean nothing."""

    def _prefix(self) -> Chain:
        """Of the prompt. Only asked for where the model has several replicas."""
        return ()

    def _reserve(self) -> int:
        """Tokens that it may take. Only asked for where the key's are limited."""
        return 0

    def next(self, timeout_s: float | None = None) -> EventT | None:
        """What happens next; None when nothing does for `timeout_s`, or by default for as long as
        a stream may be silent, or with `tells_progress` when there is news of the wait.

        ClientGone when the client has left; TricornError when the request failed.
        """
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while True:
            try:
                arrived = self._inbox.get() if deadline is None else self._get(deadline)
            except Empty:
                arrived = SILENCE
            if arrived is SILENCE:
                self._check_wait()
                return None
            if isinstance(arrived, Progress):
                if self._is_news(arrived) and self.tells_progress:
                    self._pulse.alive = True
                    return None
                # It ends no silence of those to whom it is not told.
                continue
            self._pulse.alive = True
            if arrived is GONE:
                raise ClientGone
            if arrived is LATE:
                assert self._allowed is not None
                raise self._allowed.exceeded()
            event = self._handle(arrived)
            if event is not None:
                return event

    def progress(self) -> Progress | None:
        """Why it waits, where the manager has said so; what is left of `eta_s` by now."""
        told = self._progress
        if told is None or told.eta_s is None:
            return told
        left = told.eta_s - (time.monotonic() - self._progress_at)
        return msgspec.structs.replace(told, eta_s=left if left > 0 else None)

    def waiting(self) -> bool:
        """Something has happened already: `next` will not wait, though it may give None."""
        return not self._inbox.empty()

    def _get(self, deadline: float) -> object:
        left = deadline - time.monotonic()
        return self._inbox.get(block=left > 0, timeout=left if left > 0 else None)

    def close(self) -> None:
        """Give back whatever is still held. Safe to call twice."""
        if self._ticket is not None:
            self._services.watcher.unwatch(self._ticket)
            self._ticket = None
        self._services.heartbeat.forget(self._pulse)
        if self._due is not None:
            self._services.deadlines.forget(self._due)
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
        self._call = self._manager.acquire(
            self._wanted,
            self._request_id,
            self._inbox,
            key=self._key,
            prefix=self._prefix() if self._services.is_spread(self._wanted) else (),
            keep_alive_s=self._keep_alive_s,
            claim=self._claim(),
            trace=self._trace,
        )

    def _claim(self) -> Claim | None:
        if self._identity is None:
            return None
        allowance = self._identity.terms.allowance()
        reserve = self._reserve() if allowance.limits_tokens() else 0
        return Claim(self._identity.key_id, allowance, reserve, again=self._retried)

    def _is_news(self, progress: Progress) -> bool:
        if progress.call != self._call or progress == self._progress:
            return False
        self._progress, self._progress_at = progress, time.monotonic()
        return True

    def _check_wait(self) -> None:
        if self._call is not None and time.monotonic() > self._give_up_at:
            raise Overloaded(f"No replica of '{self._model}' became free in time.", retry_after_s=5)

    def _handle(self, arrived: object) -> EventT | None:
        match arrived:
            case protocol.Delta():  # nearly all of them are
                return self._told(arrived)
            case Granted():
                return self._granted(arrived)
            case protocol.Failed(number, info):
                # One of a number that is no longer running belongs to a try that was given up.
                if number in self._running:
                    self._failed(from_info(info))
                return None
            case TricornError():
                self._call = None
                raise arrived
            case _:
                return self._told(arrived)

    def _granted(self, lease: Granted) -> EventT | None:
        self._call = self._progress = None
        if self._wanted != self._model:
            lease = msgspec.structs.replace(lease, model_id=self._model)
        self._lease = lease
        self.on_lease(lease)
        try:
            self._engine = self._services.engines.client(lease.address, lease.secret)
            return self._start(lease, self._engine)
        except EngineLost as error:
            self._failed(error)
            return None

    def _ended(self, number: int) -> bool:
        """That request has finished; True, and the lease is given back, when it was the last."""
        del self._running[number]
        if not self._running:
            self._release(lost=False)
        return not self._running

    def _failed(self, error: TricornError) -> None:
        """Raise it, or try once more where that is safe."""
        self._stop()
        if not isinstance(error, EngineLost):
            raise error
        if not self.committed:  # nobody has had anything of it
            self.prompt_tokens = self.completion_tokens = 0
        self._release(lost=True)
        if self._retried or self.committed:
            raise error
        self._retried = True
        log.warning("engine lost, trying again", request_id=self._request_id)
        self._acquire()

    def _stop(self) -> None:
        running, self._running = self._running, {}
        if self._engine is not None:
            for number in running:
                self._engine.cancel(number)

    def _release(self, *, lost: bool) -> None:
        if self._lease is not None:
            lease, self._lease = self._lease, None
            self._manager.release(
                lease.lease,
                lost=lost,
                prompt_tokens=self.prompt_tokens,
                completion_tokens=self.completion_tokens,
            )
