"""gunicorn's gevent worker, with less work for each chunk of a stream, and an end that does not
wait for connections that carry no request."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import gevent
import gevent.socket
from gunicorn.workers.ggevent import GeventWorker

from tricorn.gateway.quick_socket import QuickSocket


class Worker(GeventWorker):  # type: ignore[misc] # gunicorn has no types
    """gunicorn's own waits, when it is to end, for every open connection, so that one client with
    an idle keep-alive connection would use up the whole time for draining."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._between_requests: set[gevent.Greenlet] = set()

    def handle(self, listener: Any, client: Any, addr: Any) -> None:
        if type(client) is gevent.socket.socket:  # not one of TLS
            client.__class__ = QuickSocket
        super().handle(listener, client, addr)

    @contextlib.contextmanager
    def timeout_ctx(self) -> Iterator[None]:
        """Entered by a connection's greenlet while it waits for its next request."""
        greenlet = gevent.getcurrent()
        self._between_requests.add(greenlet)
        try:
            with super().timeout_ctx():
                yield
        finally:
            self._between_requests.discard(greenlet)

    def notify(self) -> None:
        """Called about once a second, also while the worker drains."""
        super().notify()
        if not self.alive:
            gevent.killall(list(self._between_requests), block=False)
