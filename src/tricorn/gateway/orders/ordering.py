"""Orders to the manager, from a route: waited for, or streamed with the progress that they make.

A client that hangs up withdraws its order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from queue import SimpleQueue
from typing import Any

import orjson
from flask import Response

from tricorn.errors import TricornError
from tricorn.gateway import record
from tricorn.gateway.answers import respond, sse
from tricorn.gateway.answers.errors import ClientGone
from tricorn.gateway.answers.pieces import Begun
from tricorn.gateway.guard import access
from tricorn.gateway.http.disconnect import GONE
from tricorn.gateway.http.heartbeat import SILENCE
from tricorn.gateway.record import Record
from tricorn.gateway.services import Services, services
from tricorn.manager.protocol.calls import Progress, Told


class Ordering:
    """One order. Whoever creates it closes it, whatever happened.

    sock: the client's connection, where the server gives it; watched until `close`.
    PermissionDenied where it is about a model that the key may not use.
    """

    def __init__(
        self, services: Services, command: str, arguments: dict[str, Any], sock: Any = None
    ) -> None:
        named = arguments.get("model")
        if isinstance(named, str):
            access.must_use(named, lambda: services.everything().models)
        self._services = services
        self._manager = services.manager
        self._inbox: SimpleQueue[object] = SimpleQueue()
        self._ticket = None if sock is None else services.watcher.watch(sock, self._inbox)
        self._pulse = services.heartbeat.watch(self._inbox)
        self._call: int | None = self._manager.order(command, arguments, self._inbox)

    def next(self) -> Told | Progress | None:
        """What happens next; None when nothing does for as long as a stream may be silent.

        ClientGone when the client has left; TricornError when the order was refused.
        """
        arrived = self._inbox.get()
        if arrived is SILENCE:
            return None
        self._pulse.alive = True
        if arrived is GONE:
            raise ClientGone
        if isinstance(arrived, TricornError):
            self._call = None
            raise arrived
        if isinstance(arrived, Told):
            self._call = None
        assert isinstance(arrived, Told | Progress)
        return arrived

    def close(self) -> None:
        """Safe to call twice."""
        if self._ticket is not None:
            self._services.watcher.unwatch(self._ticket)
            self._ticket = None
        self._services.heartbeat.forget(self._pulse)
        if self._call is not None:
            call, self._call = self._call, None
            self._manager.withdraw(call)


def ordered(command: str, **arguments: Any) -> dict[str, Any]:
    """The answer, waited for. TricornError or ClientGone when there is none."""
    ordering = Ordering(services(), command, arguments, respond.client_socket())
    try:
        while not isinstance(event := ordering.next(), Told):
            continue
        return event.result
    finally:
        ordering.close()


def progress(event: Progress) -> dict[str, Any]:
    """How a stream of ours tells it."""
    return {
        "object": "progress",
        "status": event.text,
        "progress": event.share,
        "eta_s": event.eta_s,
        **event.data,
    }


def unchanged(result: dict[str, Any]) -> dict[str, Any]:
    return result


def streamed(
    command: str,
    arguments: dict[str, Any],
    *,
    framing: sse.Framing = sse.OPENAI,
    tell: Callable[[Progress], dict[str, Any]] = progress,
    end: Callable[[dict[str, Any]], dict[str, Any]] = unchanged,
) -> Response:
    """Each progress as `tell` says it, and at the end the answer as `end` does.

    TricornError or ClientGone where it is refused before the first of them.
    """
    record.current().stream = True
    ordering = Ordering(services(), command, arguments, respond.client_socket())
    pieces = _pieces(ordering, framing, tell, end, record.current())
    begun = Begun(next(pieces), pieces)
    return Response(begun, mimetype=framing.mimetype, headers=sse.HEADERS)


def _pieces(
    ordering: Ordering,
    framing: sse.Framing,
    tell: Callable[[Progress], dict[str, Any]],
    end: Callable[[dict[str, Any]], dict[str, Any]],
    facts: Record,
) -> Iterator[bytes]:
    """What to write, piece by piece. Raises only before the first piece."""
    begun = False
    try:
        while True:
            event = ordering.next()
            match event:
                case Told(result=result):
                    yield framing.frame([orjson.dumps(end(result))]) + framing.done
                    return
                case Progress():
                    yield framing.frame([orjson.dumps(tell(event))])
                case None:
                    yield framing.keep_alive
            begun = True
    except TricornError as error:
        if not begun:
            raise
        facts.error, facts.message = error.code, error.message
        yield framing.error(error)
    except ClientGone:
        facts.error = "client_gone"
        if not begun:
            raise
    finally:
        ordering.close()
