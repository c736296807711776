"""A gateway worker's side of the data socket: one connection a replica, many requests on it.

Written against `threading`, `socket` and `queue`, so that it is cooperative where gevent has
patched them and works with real threads elsewhere. Import it after patching.
"""

from __future__ import annotations

import contextlib
import itertools
import socket
import threading
import time
from collections.abc import Callable
from typing import Protocol

import structlog

from tricorn.engines.base import EngineStats
from tricorn.engines.request import SamplingParams
from tricorn.engines.spec import Adapter
from tricorn.errors import EngineLost
from tricorn.wire import FrameReader, connect, pack
from tricorn.worker import protocol

CONNECT_TIMEOUT_S = 5.0
RECEIVE_BYTES = 256 * 1024

log = structlog.get_logger(part="gateway")


class Inbox(Protocol):
    """A queue, or what stands before one."""

    def put(self, event: object, /) -> None:
        """Called by the connection's reader: must not raise, and not wait for long."""


_numbers = itertools.count(1)
"""Unique in this process: an event of a request's first try is never taken for its second's."""


class EngineClient:
    """One connection to one replica. EngineLost from the constructor where nobody listens.

    Whoever starts a request gives the inbox that its `worker.protocol` events are put into. Exactly
    one `Finished` or `Failed` ends them, unless the request was cancelled. A lost connection ends
    them all with `EngineLost`.
    """

    def __init__(self, address: str, secret: str = "") -> None:
        self.address = address
        self.stats = EngineStats()
        self._inboxes: dict[int, Inbox] = {}
        self._takers: dict[int, Callable[[protocol.Delta], bool]] = {}
        self._state = threading.Lock()
        self._writing = threading.Lock()
        self._lost = False
        try:
            self._socket = connect(address, CONNECT_TIMEOUT_S)
            self._socket.sendall(pack(protocol.encode(protocol.Hello(secret))))
        except OSError as error:
            raise EngineLost(f"the engine process cannot be reached: {error}") from error
        self._reader = threading.Thread(target=self._read, name="engine-client", daemon=True)
        self._reader.start()

    @property
    def lost(self) -> bool:
        return self._lost

    def start(
        self,
        *,
        request_id: str,
        prompt: protocol.Prompt,
        sampling: SamplingParams,
        inbox: Inbox,
        prompt_text: bool = False,
        priority: int = 0,
        prompt_logprobs: int | None = None,
        adapter: Adapter | None = None,
        trace: dict[str, str] | None = None,
    ) -> int:
        """Send a request; its number. EngineLost when the connection is gone."""
        number = next(_numbers)
        op = protocol.Start(
            number,
            request_id,
            prompt,
            sampling,
            prompt_text,
            adapter=adapter,
            priority=priority,
            prompt_logprobs=prompt_logprobs,
            trace=trace,
        )
        self._begin(op, inbox)
        return number

    def ask(self, make: Callable[[int], protocol.Request], inbox: Inbox) -> int:
        """As `start`, with the request that `make` gives for its number."""
        number = next(_numbers)
        self._begin(make(number), inbox)
        return number

    def _begin(self, op: protocol.Request, inbox: Inbox) -> None:
        with self._state:
            if self._lost:
                raise EngineLost("the engine process is gone")
            self._inboxes[op.id] = inbox
        # A connection that breaks here ends this request by its event, as it does all the others.
        self._send(op)

    def divert(self, number: int, taker: Callable[[protocol.Delta], bool]) -> None:
        """Offer a request's deltas to `taker` first, which must neither wait nor raise; those that
        it does not take (False) go to the inbox as before. Nothing happens when it has ended."""
        with self._state:
            if number in self._inboxes:
                self._takers[number] = taker

    def cancel(self, number: int) -> None:
        """Stop a request: no more events of it. Nothing happens when it has ended."""
        with self._state:
            self._takers.pop(number, None)
            running = self._inboxes.pop(number, None) is not None
        if running and not self._lost:
            self._send(protocol.Cancel(number))

    def close(self) -> None:
        """End the connection, and with it everything that runs on it."""
        self._lose("the gateway closed the connection")

    def _send(self, op: protocol.Op) -> None:
        frame = pack(protocol.encode(op))
        try:
            with self._writing:
                self._socket.sendall(frame)
        except OSError as error:
            self._lose(str(error))
        except BaseException:
            # A greenlet that is killed half-way leaves half a frame: nothing can follow it.
            self._lose("a request ended while it was being sent")
            raise

    def _read(self) -> None:
        frames = FrameReader()
        reason = "it closed the connection"
        try:
            while data := self._socket.recv(RECEIVE_BYTES):
                for payload in frames.feed(data):
                    self._deliver(protocol.decode_frame(payload))
                # Under gevent, recv does not wait where there is data already: an engine that is
                # faster than this process would keep everything else in it from running.
                time.sleep(0)
        except OSError as error:
            reason = str(error)
        finally:
            # Whatever it was: those who wait must not wait for ever.
            self._lose(reason)

    def _deliver(self, frame: protocol.Frame) -> None:
        self.stats = frame.stats
        for event in frame.events:
            if isinstance(event, protocol.Delta):  # nearly all of them are
                taker = self._takers.get(event.id)
                if taker is not None and taker(event):
                    continue
                inbox = self._inboxes.get(event.id)
            elif isinstance(event, protocol.Finished | protocol.Failed):
                with self._state:
                    self._takers.pop(event.id, None)
                    inbox = self._inboxes.pop(event.id, None)
            else:
                inbox = self._inboxes.get(event.id)
            if inbox is not None:
                inbox.put(event)

    def _lose(self, reason: str) -> None:
        with self._state:
            if self._lost:
                return
            self._lost = True
            carried, self._inboxes = self._inboxes, {}
            self._takers.clear()
        with contextlib.suppress(OSError):
            # close() alone leaves another thread's recv() waiting.
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        # The handlers first: they wait, and must hear of it even if the log cannot be written.
        info = EngineLost("The engine process was lost while it worked on this request.").info()
        for number, inbox in carried.items():
            inbox.put(protocol.Failed(number, info))
        if carried:
            log.warning("engine connection lost", reason=reason, requests=len(carried))


class EnginePool:
    """The connections of one gateway worker, one an address."""

    def __init__(self) -> None:
        self._clients: dict[str, EngineClient] = {}
        self._lock = threading.Lock()

    def client(self, address: str, secret: str) -> EngineClient:
        """The connection to that replica, made if need be. EngineLost where nobody listens."""
        with self._lock:
            for other in [a for a, client in self._clients.items() if client.lost]:
                del self._clients[other]
            known = self._clients.get(address)
            if known is None:
                known = self._clients[address] = EngineClient(address, secret)
            return known

    def close(self) -> None:
        with self._lock:
            clients, self._clients = list(self._clients.values()), {}
        for client in clients:
            client.close()
