"""`GET /v1/events`: what happens to models, as server-sent events.

Each has its number for `id`; a client that comes back with the last one it saw (`Last-Event-ID`,
which browsers send by themselves, or `?after=`) is told what it has missed, as far as the manager
still knows it.
"""

from __future__ import annotations

from collections.abc import Iterator
from queue import SimpleQueue
from typing import Any

import msgspec
import orjson
from flask import Blueprint, Response, request

from tricorn.errors import InvalidRequest, TricornError
from tricorn.gateway import record
from tricorn.gateway.answers import respond, sse
from tricorn.gateway.answers.pieces import Begun
from tricorn.gateway.guard import access
from tricorn.gateway.http.disconnect import GONE
from tricorn.gateway.http.heartbeat import SILENCE
from tricorn.gateway.orders.ordering import ordered
from tricorn.gateway.services import Services, services
from tricorn.manager.protocol.model_info import ModelInfo
from tricorn.manager.protocol.news import Event

bp = Blueprint("events", __name__)

LAST = "manager.stopping"
"""As `manager.desk.events` has it; a stream that went on would keep this process from ending."""
BEGIN = b"retry: 1000\n\n"
"""After so many milliseconds a client that was cut off comes back."""


@bp.get("/v1/events")
def stream() -> Response:
    """Until the client leaves."""
    after = _after()
    record.current().stream = True
    listener = _Listener(services(), respond.client_socket())
    try:
        # What happens meanwhile comes by both ways, and is known by its number.
        missed = [] if after is None else ordered("events.recent", after=after)["events"]
    except BaseException:
        listener.close()
        raise
    pieces = listener.pieces([msgspec.convert(one, Event) for one in missed])
    begun = Begun(next(pieces), pieces)
    return Response(begun, mimetype=sse.MIMETYPE, headers=sse.HEADERS)


class _Listener:
    def __init__(self, services: Services, sock: Any) -> None:
        self._services = services
        self._inbox: SimpleQueue[object] = SimpleQueue()
        self._sock = sock
        self._ticket: int | None = None
        self._pulse = services.heartbeat.watch(self._inbox)
        self._listening = services.manager.listen(self._inbox)
        self._may_use = access.allowing(self._models)

    def pieces(self, missed: list[Event]) -> Iterator[bytes]:
        try:
            # Not sooner: a connection has one watcher, and the order before had it.
            if self._sock is not None:
                self._ticket = self._services.watcher.watch(self._sock, self._inbox)
            yield BEGIN
            for event in missed:
                if self._may_see(event):
                    yield _frame(event)
            last = missed[-1].number if missed else 0
            while True:
                arrived = self._inbox.get()
                if arrived is SILENCE:
                    yield sse.KEEP_ALIVE
                    continue
                self._pulse.alive = True
                if isinstance(arrived, TricornError):
                    yield sse.error_event(arrived)
                    return
                if arrived is GONE:
                    return
                if isinstance(arrived, Event) and arrived.number > last:
                    if self._may_see(arrived):
                        yield _frame(arrived)
                    if arrived.kind == LAST:
                        return
        finally:
            self.close()

    def _may_see(self, event: Event) -> bool:
        """It is about a model that the key may use, or about none."""
        return not event.model or self._may_use(event.model)

    def _models(self) -> list[ModelInfo]:
        snapshot = self._services.manager.snapshot()
        return [] if snapshot is None else snapshot.models

    def close(self) -> None:
        """Safe to call twice."""
        if self._ticket is not None:
            self._services.watcher.unwatch(self._ticket)
            self._ticket = None
        self._services.heartbeat.forget(self._pulse)
        self._services.manager.unlisten(self._listening)


def _frame(event: Event) -> bytes:
    ours = {
        "object": "event",
        "id": event.number,
        "time": event.time,
        "kind": event.kind,
        "model": event.model or None,
    }
    shape = ours | {name: value for name, value in event.data.items() if name not in ours}
    return b"id: %d\n" % event.number + sse.frame([orjson.dumps(shape)])


def _after() -> int | None:
    given = request.headers.get("Last-Event-ID") or request.args.get("after")
    if given is None:
        return None
    if not (given.isascii() and given.isdigit() and len(given) < 19):
        raise InvalidRequest(
            f"Invalid value for 'after': must be the id of an event, got {given[:32]!r}.",
            param="after",
        )
    return int(given)
