"""Notices that a client closed its connection while its handler waits for tokens.

A streaming handler would notice at its second write after that, a handler that collects a whole
answer never. Under gevent one epoll, itself watched by the event loop, sees all connections of the
worker within a millisecond. Elsewhere a thread waits on the epoll, and where there is none (macOS,
Windows) each connection is peeked at every 250 ms.
"""

from __future__ import annotations

import contextlib
import queue
import select
import socket
import threading
from typing import Any, Final, Protocol

PEEK_INTERVAL_S = 0.25


class Gone:
    """Put into the handler's inbox, once, when its client has closed the connection."""


GONE: Final = Gone()
Inbox = queue.SimpleQueue[object]


class Watcher(Protocol):
    """Watches connections for one process."""

    def watch(self, sock: Any, inbox: Inbox) -> int:
        """Put GONE into `inbox` when the peer of `sock` closes; a ticket for `unwatch`."""

    def unwatch(self, ticket: int) -> None:
        """Stop. To be called before the socket is closed; a second call does nothing."""


def create() -> Watcher:
    """The best watcher for this process. To be called after fork."""
    if _gevent_patched():
        from gevent import monkey

        with contextlib.suppress(AttributeError):
            return _GeventEpollWatcher(monkey.get_original("select", "epoll")())
    elif hasattr(select, "epoll"):
        return _ThreadEpollWatcher(select.epoll())
    return PeekWatcher()


def _gevent_patched() -> bool:
    try:
        from gevent import monkey
    except ImportError:
        return False
    return bool(monkey.is_module_patched("socket"))


class _EpollWatcher:
    """Tickets are file descriptors: a handler unwatches before its descriptor can be used again."""

    def __init__(self, epoll: Any) -> None:
        self._epoll = epoll
        self._inboxes: dict[int, Inbox] = {}
        # Edge-triggered, and only hang-ups: bytes that a client sends ahead wake nobody.
        self._mask = (
            select_constant("EPOLLRDHUP")
            | select_constant("EPOLLHUP")
            | select_constant("EPOLLERR")
            | select_constant("EPOLLET")
        )

    def watch(self, sock: Any, inbox: Inbox) -> int:
        ticket: int = sock.fileno()
        self._inboxes[ticket] = inbox
        # A peer that has closed already is reported at once.
        self._epoll.register(ticket, self._mask)
        return ticket

    def unwatch(self, ticket: int) -> None:
        if self._inboxes.pop(ticket, None) is not None:
            with contextlib.suppress(OSError):
                self._epoll.unregister(ticket)

    def _tell(self, timeout_s: float | None) -> None:
        for descriptor, _ in self._epoll.poll(timeout_s):
            inbox = self._inboxes.get(descriptor)
            if inbox is not None:
                inbox.put(GONE)


def select_constant(name: str) -> int:
    """A constant of `select`. gevent's patching takes `epoll` away but leaves these."""
    value: int = getattr(select, name)
    return value


class _GeventEpollWatcher(_EpollWatcher):
    def __init__(self, epoll: Any) -> None:
        super().__init__(epoll)
        from gevent import get_hub

        self._io = get_hub().loop.io(epoll.fileno(), 1)
        # Runs in the hub, where nothing may block: poll(0), and an unbounded queue's put.
        self._io.start(self._tell, 0)


class _ThreadEpollWatcher(_EpollWatcher):
    def __init__(self, epoll: Any) -> None:
        super().__init__(epoll)
        threading.Thread(target=self._run, name="disconnect-watcher", daemon=True).start()

    def _run(self) -> None:
        while True:
            self._tell(None)


class PeekWatcher:
    """For systems without epoll."""

    def __init__(self) -> None:
        self._watched: dict[int, tuple[Any, Inbox]] = {}
        self._wake = threading.Event()
        threading.Thread(target=self._run, name="disconnect-watcher", daemon=True).start()

    def watch(self, sock: Any, inbox: Inbox) -> int:
        ticket: int = sock.fileno()
        self._watched[ticket] = (sock, inbox)
        self._wake.set()
        return ticket

    def unwatch(self, ticket: int) -> None:
        self._watched.pop(ticket, None)

    def _run(self) -> None:
        pause = threading.Event()
        while True:
            if not self._watched:
                self._wake.clear()
                # Looked at again after clear: a watch in between has set it for nothing otherwise.
                if not self._watched:
                    self._wake.wait()
            pause.wait(PEEK_INTERVAL_S)
            for ticket, (sock, inbox) in list(self._watched.items()):
                if _closed(sock) and self._watched.pop(ticket, None) is not None:
                    inbox.put(GONE)


def _closed(sock: Any) -> bool:
    # gevent's sockets wrap a non-blocking one; their own recv would wait for bytes.
    plain = getattr(sock, "_sock", sock)
    try:
        seen: bytes = plain.recv(1, socket.MSG_PEEK | getattr(socket, "MSG_DONTWAIT", 0))
    except (BlockingIOError, ValueError):
        # ValueError: TLS sockets cannot peek; their clients are noticed at the next write.
        return False
    except OSError:
        return True
    return seen == b""
