"""A gateway's side of the control socket: leases, orders, events, and the newest snapshot.

Written on threading, socket and queue, so that gevent's monkey patching makes it cooperative, and
tests run it with real threads. Nothing here waits for an answer: answers go into the queue that the
caller gave, so that a request handler has one place to wait at.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import queue
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tricorn import logs
from tricorn.errors import ManagerUnavailable, Overloaded, from_info
from tricorn.manager.protocol import messages
from tricorn.manager.protocol.calls import (
    Acquire,
    Claim,
    Granted,
    Order,
    Progress,
    Refused,
    Release,
    Told,
    Withdraw,
)
from tricorn.manager.protocol.messages import ClientMessage, Hello, ManagerMessage
from tricorn.manager.protocol.news import Event, Snapshot
from tricorn.manager.protocol.usage import Usage
from tricorn.manager.run_directory import read_control
from tricorn.wire import FrameError, FrameReader, connect, pack

CONNECT_TIMEOUT_S = 2.0
FIRST_RETRY_S = 0.05
LONGEST_RETRY_S = 1.0
RECEIVE_BYTES = 64 * 1024
MAX_EVENTS_BEHIND = 1000
"""A listener that has so many events unread is told of no more."""

log = logs.get("manager client")


class ManagerClient:
    """One connection to the manager, made again whenever it is lost. Safe to use from any thread.

    Create it anywhere, `start` it in the process that uses it (after a fork).
    """

    def __init__(self, run_dir: Path) -> None:
        self._run_dir = run_dir
        self._lock = threading.Lock()  # guards what follows, down to the blank line
        self._socket: socket.socket | None = None
        self._waiting: dict[int, queue.SimpleQueue[object]] = {}
        self._granted: dict[int, int] = {}  # call → lease, until it is given back
        self._snapshot: Snapshot | None = None
        self._listening: dict[int, queue.SimpleQueue[object]] = {}

        self._send_lock = threading.Lock()  # whole frames only
        self._calls = itertools.count(1)
        self._connected = threading.Event()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Connect in the background, for ever."""
        self._thread = threading.Thread(target=self._run, name="manager client", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the connection and the thread."""
        self._closing.set()
        with self._lock:
            sock = self._socket
        if sock is not None:
            _shut(sock)
        if self._thread is not None:
            self._thread.join(CONNECT_TIMEOUT_S + LONGEST_RETRY_S)

    def snapshot(self) -> Snapshot | None:
        """The newest; None while not connected."""
        return self._snapshot

    def wait_connected(self, timeout_s: float) -> bool:
        """Whether there is a snapshot within `timeout_s`."""
        return self._connected.wait(timeout_s)

    def acquire(
        self,
        model: str,
        request_id: str,
        inbox: queue.SimpleQueue[object],
        *,
        key: str = "",
        prefix: tuple[int, ...] = (),
        keep_alive_s: float | None = None,
        claim: Claim | None = None,
        trace: dict[str, str] | None = None,
    ) -> int:
        """Ask for a lease, as `Acquire` has it; returns the call's number at once.

        Later `inbox` gets `Granted`, and maybe `Progress` before, or the
        TricornError why not: `ManagerUnavailable` where there is no connection, or it is lost
        before the answer.
        """
        return self._call(
            lambda call: Acquire(call, model, request_id, key, prefix, keep_alive_s, claim, trace),
            inbox,
        )

    def order(
        self, command: str, arguments: dict[str, Any], inbox: queue.SimpleQueue[object]
    ) -> int:
        """Give an order that `manager.desk.orders` knows; returns the call's number at once.

        Later `inbox` gets `Told`, and maybe `Progress` before, or the error why
        not, as in `acquire`. `withdraw` ends it.
        """
        return self._call(lambda call: Order(call, command, arguments), inbox)

    def _call(
        self,
        make: Callable[[int], Acquire | Order],
        inbox: queue.SimpleQueue[object],
    ) -> int:
        """make: the message, for the call's number, which is returned."""
        call = next(self._calls)
        with self._lock:
            sock = self._socket if self._snapshot is not None else None
            if sock is not None:
                self._waiting[call] = inbox
        if sock is None:
            inbox.put(_unavailable())
        else:
            self._send(sock, make(call))
        return call

    def listen(self, inbox: queue.SimpleQueue[object]) -> int:
        """Put every `Event` from now on into `inbox`; a ticket for `unlisten`.

        A TricornError is the last that it gets: the connection was lost, or it had too many unread.
        """
        ticket = next(self._calls)
        with self._lock:
            if self._snapshot is not None:
                self._listening[ticket] = inbox
                return ticket
        inbox.put(_unavailable())
        return ticket

    def unlisten(self, ticket: int) -> None:
        """Harmless after the listening has ended."""
        with self._lock:
            self._listening.pop(ticket, None)

    def report(self, usage: Usage) -> bool:
        """Tell what was counted; False where it cannot be told now."""
        with self._lock:
            sock = self._socket if self._snapshot is not None else None
        if sock is not None:
            self._send(sock, usage)
        return sock is not None

    def withdraw(self, call: int) -> None:
        """Don't wait for the answer any longer; gives back the lease where it was granted.

        Harmless after `release`, and after a refusal.
        """
        with self._lock:
            sock = self._socket
            waiting = self._waiting.pop(call, None) is not None
            lease = self._granted.pop(call, None)
        if sock is None:
            return
        if waiting:
            self._send(sock, Withdraw(call))
        elif lease is not None:
            self._send(sock, Release(lease))

    def release(
        self,
        lease: int,
        *,
        lost: bool = False,
        prompt_tokens: int = 0,
        completion_tokens: int = 0,
    ) -> None:
        """Give a lease back. lost: the replica's data socket broke. The tokens: that it took.

        Harmless for a lease that is back already, or that ended with its connection.
        """
        with self._lock:
            sock = self._socket
            call = next((c for c, granted in self._granted.items() if granted == lease), None)
            if call is None or sock is None:
                return
            del self._granted[call]
        self._send(sock, Release(lease, lost, prompt_tokens, completion_tokens))

    # --- the connection -----------------------------------------------------------------------

    def _run(self) -> None:
        retry_s = FIRST_RETRY_S
        while not self._closing.is_set():
            try:
                sock = self._connect()
            except (OSError, ValueError, KeyError):
                self._closing.wait(retry_s)
                retry_s = min(retry_s * 2, LONGEST_RETRY_S)
                continue
            try:
                if self._read(sock):
                    retry_s = FIRST_RETRY_S
            except OSError as error:
                log.warning("the connection to the manager broke", error=str(error))
            finally:
                self._lose(sock)
            self._closing.wait(retry_s)
            retry_s = min(retry_s * 2, LONGEST_RETRY_S)

    def _connect(self) -> socket.socket:
        # Read again each time: a new manager has a new secret and perhaps a new address.
        found = read_control(self._run_dir)
        sock = connect(str(found["address"]), CONNECT_TIMEOUT_S)
        hello = Hello("gateway", os.getpid(), str(found["secret"]))
        try:
            sock.sendall(pack(messages.encode(hello)))
        except OSError:
            sock.close()
            raise
        with self._lock:
            self._socket = sock
        if self._closing.is_set():
            _shut(sock)  # `close` may have looked just before there was a socket
        return sock

    def _read(self, sock: socket.socket) -> bool:
        """Take messages until the connection ends; whether any came."""
        frames = FrameReader()
        any_came = False
        while data := sock.recv(RECEIVE_BYTES):
            for payload in frames.feed(data):
                any_came = True
                self._take(sock, messages.decode_manager(payload))
        return any_came

    def _take(self, sock: socket.socket, message: ManagerMessage) -> None:
        if isinstance(message, Snapshot):
            if message.log_level:
                logs.set_level(message.log_level)
            with self._lock:
                self._snapshot = message
            self._connected.set()
        elif isinstance(message, Granted):
            with self._lock:
                inbox = self._waiting.pop(message.call, None)
                if inbox is not None:
                    self._granted[message.call] = message.lease
            if inbox is not None:
                inbox.put(message)
            else:  # withdrawn while the answer was on its way
                self._send(sock, Release(message.lease))
        elif isinstance(message, Refused):
            with self._lock:
                inbox = self._waiting.pop(message.call, None)
            if inbox is not None:
                inbox.put(from_info(message.error))
        elif isinstance(message, Told):
            with self._lock:
                inbox = self._waiting.pop(message.call, None)
            if inbox is not None:
                inbox.put(message)
        elif isinstance(message, Progress):
            with self._lock:
                inbox = self._waiting.get(message.call)
            if inbox is not None:
                inbox.put(message)
        elif isinstance(message, Event):
            self._tell(message)
        else:
            raise FrameError(f"a gateway is not sent {type(message).__name__}")

    def _tell(self, event: Event) -> None:
        with self._lock:
            for ticket, inbox in list(self._listening.items()):
                if inbox.qsize() < MAX_EVENTS_BEHIND:
                    inbox.put(event)
                else:
                    del self._listening[ticket]
                    inbox.put(Overloaded("too many events were not read", retry_after_s=1))

    def _lose(self, sock: socket.socket) -> None:
        self._connected.clear()
        with self._lock:
            self._socket = None
            self._snapshot = None
            waiting, self._waiting = self._waiting, {}
            listening, self._listening = self._listening, {}
            self._granted.clear()  # the manager took them back with the connection
        with self._send_lock:
            sock.close()
        for inbox in (*waiting.values(), *listening.values()):
            inbox.put(_unavailable())

    def _send(self, sock: socket.socket, message: ClientMessage) -> None:
        try:
            with self._send_lock:
                sock.sendall(pack(messages.encode(message)))
        except OSError:
            _shut(sock)  # the reader notices, and tells everyone who waits


def _shut(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)


def _unavailable() -> ManagerUnavailable:
    return ManagerUnavailable("Tricorn's manager cannot be reached; try again", retry_after_s=1)
