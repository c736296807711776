"""gunicorn's gevent worker, with less work for each chunk of a stream, an end to its patience with
slow clients, and an end of its own that does not wait for connections that carry no request."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Any

import gevent
import structlog
from gunicorn.http.errors import LimitRequestHeaders
from gunicorn.workers.ggevent import GeventWorker

from tricorn.gateway.http import refusal
from tricorn.gateway.http.certificate import Certificate
from tricorn.gateway.http.patience import HeadTooLarge, Patience, TooSlow
from tricorn.gateway.http.quick_socket import QuickSocket, TlsSocket, quick

PIECE_BYTES = 65536
QUIET_S = 1.0
"""A connection that has been silent for so long carries no request. One that has just been made, or
has just had an answer, may be about to."""

log = structlog.get_logger(part="gateway")


class Worker(GeventWorker):  # type: ignore[misc] # gunicorn has no types
    """gunicorn's own waits, when it is to end, for every open connection, so that one client with
    an idle keep-alive connection would use up the whole time for draining."""

    patience = Patience()
    certificate: Certificate | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._clients: dict[gevent.Greenlet, QuickSocket | TlsSocket] = {}
        self._between_requests: dict[gevent.Greenlet, float] = {}
        """Since when, on the monotonic clock."""

    def handle(self, listener: Any, client: Any, addr: Any) -> None:
        if not isinstance(client, TlsSocket):
            client = quick(client, self.patience)
        elif not _shook_hands(client, addr):
            return
        greenlet = gevent.getcurrent()
        self._clients[greenlet] = client
        try:
            super().handle(listener, client, addr)
        finally:
            del self._clients[greenlet]

    @contextlib.contextmanager
    def timeout_ctx(self) -> Iterator[None]:
        """Entered by a connection's greenlet while it waits for its next request."""
        greenlet = gevent.getcurrent()
        client = self._clients[greenlet]
        if client.arrival.phase == "body":
            client.arrival.idle()
        self._between_requests[greenlet] = time.monotonic()
        try:
            yield
        except TooSlow:
            # One that has sent nothing expects no answer.
            if client.arrival.phase == "head" and client.arrival.came:
                refusal.write(client, refusal.TOO_SLOW)
            raise
        except HeadTooLarge as error:
            raise LimitRequestHeaders("limit request head size") from error
        finally:
            self._between_requests.pop(greenlet, None)

    def handle_request(self, listener_name: Any, req: Any, sock: Any, addr: Any) -> None:
        sock.arrival.body(req.force_close)
        try:
            super().handle_request(listener_name, req, sock, addr)
        except TooSlow as slow:
            log.info("a client is too slow", address=addr[0] if addr else None, why=slow.strerror)
            raise
        except StopIteration:
            _drain(req, sock)
            raise
        if not _drain(req, sock):
            raise StopIteration

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        if isinstance(exc, gevent.GreenletExit):
            return  # by `notify`: nobody has asked for anything, and nobody is answered
        answer = refusal.of(exc)
        if answer is None:
            super().handle_error(req, client, addr, exc)
            return
        log.info("not a request", address=addr[0] if addr else None, error=type(exc).__name__)
        refusal.write(client, answer)

    def notify(self) -> None:
        """Called about once a second, also while the worker drains."""
        super().notify()
        if self.certificate is not None:
            self.certificate.look()
        if not self.alive:
            quiet = time.monotonic() - QUIET_S
            waiting = self._between_requests.items()
            gevent.killall([one for one, since in waiting if since <= quiet], block=False)

    def handle_quit(self, sig: int, frame: Any) -> None:
        """What still runs is cut now, but in good order: handlers end, and what they counted is
        told. gunicorn's own leaves at once."""
        self.alive = False
        self.cfg.set("graceful_timeout", 0)


def _shook_hands(client: TlsSocket, addr: Any) -> bool:
    try:
        client.shake_hands()
    except OSError as error:
        if getattr(error, "reason", None) == "HTTP_REQUEST":
            client.send_plainly(refusal.text(refusal.NOT_HTTPS))
        log.debug("no TLS connection", address=addr[0] if addr else None, error=str(error))
        return False
    client.arrival.head()
    return True


def _drain(req: Any, sock: Any) -> bool:
    """Take the rest of a body that nobody wanted: most clients read no answer before they have sent
    everything. False where its end was not reached."""
    sock.arrival.leftovers()
    try:
        while req.body.read(PIECE_BYTES):
            continue
    except Exception:  # noqa: BLE001 - whatever it is, the connection is closed
        return False
    return not req.body.failed
