"""The manager's part of a request's trace: its wait for a replica, and the load that it caused.

Imported only where traces are wanted. A wait goes from `Acquire` to the answer, or until it is
given up. A load belongs to the request that waits longest for the model when it begins; the others
have events that tell of it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

from opentelemetry.trace import Span

from tricorn.manager.figures.model_operations import EVICTED
from tricorn.manager.pool.calls import Call, Holder
from tricorn.manager.pool.pool import Pool
from tricorn.manager.protocol.calls import Acquire, Granted, Refused
from tricorn.manager.replicas.replica import Replica
from tricorn.tracing import names
from tricorn.tracing.export import Traces, below, fail, received


@dataclass
class _Wait:
    span: Span
    since_ns: int


@dataclass
class _Load:
    """Of a replica, the last one. Unix time."""

    began_ns: int
    span: Span | None
    """None: no traced request waited for it."""
    ended_ns: int | None = None


class CallTraces:
    """For the event loop."""

    def __init__(self, traces: Traces, pool: Pool) -> None:
        self._traces = traces
        self._pool = pool
        self._waits: dict[tuple[Holder, int], _Wait] = {}
        self._loads: dict[str, _Load] = {}
        self._parked: set[str] = set()

    def close(self) -> None:
        """Send what is left. Blocks, for a bounded time."""
        self._traces.close()

    # --- told by the turnstile ------------------------------------------------------------------

    def asked(self, holder: Holder, asked: Acquire) -> None:
        if asked.trace is None:
            return
        attributes = {names.REQUEST_MODEL: asked.model, names.REQUEST_ID: asked.request_id}
        span = self._traces.begin(
            f"{names.ACQUIRE} {asked.model}", received(asked.trace), attributes
        )
        self._waits[holder, asked.call] = _Wait(span, time.time_ns())

    def answered(self, holder: Holder, answer: Granted | Refused) -> None:
        wait = self._waits.pop((holder, answer.call), None)
        if wait is None:
            return
        if isinstance(answer, Refused):
            fail(wait.span, answer.error.code, answer.error.message)
        else:
            self._note_grant(wait, answer)
        wait.span.end()

    def given_up(self, holder: Holder, call: int) -> None:
        """Nobody waits for it any more; harmless where it was answered."""
        wait = self._waits.pop((holder, call), None)
        if wait is not None:
            wait.span.end()

    def dropped(self, holder: Holder) -> None:
        """All that it waits for is given up."""
        for one, call in [key for key in self._waits if key[0] is holder]:
            self.given_up(one, call)

    # --- told by replicas -----------------------------------------------------------------------

    def replica_state(self, replica: Replica) -> None:
        """As `Replica`'s on_state."""
        name = replica.name
        match replica.state:
            case "LOADING":
                self._load_began(replica)
            case "READY":
                self._load_ended(name)
            case "PARKED":
                self._parked.add(name)
                self._note_eviction(replica)
            case "FAILED" | "UNLOADED":
                failure = replica.failure
                if failure is not None and (load := self._loads.get(name)) and load.span:
                    fail(load.span, failure.code, failure.message)
                self._load_ended(name)
                self._loads.pop(name, None)
                self._parked.discard(name)
                self._note_eviction(replica)

    def _load_began(self, replica: Replica) -> None:
        served = self._pool.model(replica.spec.id)
        first = None if served is None else served.waiting.oldest()
        wait = None if first is None else self._wait_of(first)
        span = None
        if wait is not None:
            kind = "wake" if replica.name in self._parked else "load"
            attributes = {
                names.RESPONSE_MODEL: replica.spec.id,
                names.REPLICA: replica.name,
                names.ENGINE_NAME: replica.spec.engine,
                names.LOAD_KIND: kind,
            }
            span = self._traces.begin(
                f"{names.LOAD} {replica.spec.id}", below(wait.span), attributes
            )
        self._parked.discard(replica.name)
        self._loads[replica.name] = _Load(time.time_ns(), span)

    def _load_ended(self, name: str) -> None:
        load = self._loads.get(name)
        if load is not None and load.ended_ns is None:
            load.ended_ns = time.time_ns()
            if load.span is not None:
                load.span.end(load.ended_ns)

    def _note_eviction(self, replica: Replica) -> None:
        if replica.unload_reason == EVICTED:
            told = {names.RESPONSE_MODEL: replica.spec.id, names.REPLICA: replica.name}
            for wait in self._waits_for_room():
                wait.span.add_event(names.EVICTED, told)

    # --- inside ---------------------------------------------------------------------------------

    def _wait_of(self, call: Call) -> _Wait | None:
        return self._waits.get((call.holder, call.number))

    def _waits_for_room(self) -> Iterator[_Wait]:
        """Those for models that no replica serves."""
        for served in self._pool.served():
            if not served.is_leasable():
                yield from filter(None, map(self._wait_of, served.waiting))

    def _note_grant(self, wait: _Wait, granted: Granted) -> None:
        now_ns = time.time_ns()
        load_ns = 0
        load = self._loads.get(granted.replica)
        if load is not None:
            began_ns = max(load.began_ns, wait.since_ns)
            ended_ns = now_ns if load.ended_ns is None else load.ended_ns
            if ended_ns > began_ns:
                load_ns = ended_ns - began_ns
                wait.span.add_event(names.LOAD_BEGAN, timestamp=load.began_ns)
                wait.span.add_event(names.LOAD_ENDED, timestamp=ended_ns)
        wait.span.set_attributes(
            {
                names.RESPONSE_MODEL: granted.served,
                names.REPLICA: granted.replica,
                names.LOAD_S: load_ns / 1e9,
                names.QUEUE_S: max(0, now_ns - wait.since_ns - load_ns) / 1e9,
            }
        )
