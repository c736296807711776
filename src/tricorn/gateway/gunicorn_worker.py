"""gunicorn's gevent worker, which ends without waiting for connections that carry no request."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import gevent
from gunicorn.workers.ggevent import GeventWorker


class Worker(GeventWorker):  # type: ignore[misc] # gunicorn has no types
    """gunicorn's own waits, when it is to end, for every open connection, so that one client with
    an idle keep-alive connection would use up the whole time for draining."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._between_requests: set[gevent.Greenlet] = set()

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
