"""The control socket: gateways ask for leases and give orders here, engine workers report here.

What a connection held ends with it: a gateway's leases and waiting calls come back, a worker's
replica is taken for lost. Nothing here waits for a peer: a client that doesn't read what it is sent
is cut off.
"""

from __future__ import annotations

import asyncio
import hmac
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from tricorn import logs
from tricorn.access.admission import Admission
from tricorn.manager.access.turnstile import Turnstile
from tricorn.manager.access.usage_ledger import UsageLedger
from tricorn.manager.desk.orders import Orders
from tricorn.manager.pool.pool import Pool
from tricorn.manager.protocol import messages
from tricorn.manager.protocol.calls import (
    Acquire,
    Granted,
    Order,
    Progress,
    Refused,
    Release,
    Told,
    Withdraw,
)
from tricorn.manager.protocol.messages import ClientMessage, Hello, ManagerMessage
from tricorn.manager.protocol.model_info import ModelInfo
from tricorn.manager.protocol.news import Event, Snapshot
from tricorn.manager.protocol.usage import Usage
from tricorn.manager.protocol.worker import WorkerMessage
from tricorn.manager.replicas.replica import Replica
from tricorn.wire import MAX_FRAME, MAX_HELLO, pack, read_frame

if TYPE_CHECKING:
    from tricorn.manager.figures.call_traces import CallTraces

HELLO_DEADLINE_S = 5.0
PUSH_DELAY_S = 0.02
"""Changes within so many seconds go out as one snapshot."""
MAX_UNREAD_BYTES = 16 * 1024 * 1024

log = logs.get("control")


class ProtocolError(ConnectionError):
    """The peer sent something that it may not send."""


class _Connection:
    """One client. Sending never blocks."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer

    def send(self, message: ManagerMessage) -> None:
        self.send_packed(pack(messages.encode(message)))

    def send_packed(self, frame: bytes) -> None:
        if self._writer.is_closing():
            return
        if self._writer.transport.get_write_buffer_size() > MAX_UNREAD_BYTES:
            log.warning("a client does not read what it is sent; cutting it off")
            self._writer.transport.abort()
            return
        self._writer.write(frame)


class _Gateway(_Connection):
    """A gateway worker."""

    def answer(self, message: Granted | Refused | Progress | Told) -> None:
        self.send(message)


class ControlServer:
    """Listens from `open` to `close`."""

    def __init__(
        self,
        pool: Pool,
        *,
        status: Callable[[list[ModelInfo]], tuple[bool, str, str | None]],
        on_gateway: Callable[[int], None] = lambda pid: None,
        orders: Orders | None = None,
        on_usage: Callable[[Usage], None] = lambda usage: None,
        marked: Callable[[list[ModelInfo]], list[ModelInfo]] = lambda models: models,
        ledger: UsageLedger | None = None,
        traces: CallTraces | None = None,
    ) -> None:
        """status: (ready, reason, default model) for snapshots. on_gateway: one has
        connected; its pid. orders: None: no order is known. on_usage: a gateway has counted.
        marked: the models as snapshots are to have them. ledger: None: usage is not kept.
        traces: None: there are none."""
        self.secret = secrets.token_hex(32)
        self.address = ""
        self._pool = pool
        self._status = status
        self._on_gateway = on_gateway
        self._orders = orders or Orders({})
        self._on_usage = on_usage
        self._marked = marked
        self._ledger = ledger or UsageLedger()
        self._admission = Admission(time.monotonic, time.time, self._ledger.spent)
        self._traces = traces
        self._gateways: set[_Gateway] = set()
        self._connections: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._push_timer: asyncio.TimerHandle | None = None
        self._snapshot = Snapshot(0, [], False, "starting")

    async def open(self, socket_path: Path | None) -> None:
        """Listen on a unix socket, or on a free loopback port where `socket_path` is None."""
        if socket_path is not None:
            self._server = await asyncio.start_unix_server(self._accept, socket_path)
            socket_path.chmod(0o600)  # the folder is private already; the secret is asked for too
            self.address = f"unix:{socket_path}"
        else:
            self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
            self.address = f"tcp:127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def close(self) -> None:
        """Stop listening and end every connection."""
        if self._push_timer is not None:
            self._push_timer.cancel()
        if self._server is not None:
            self._server.close()
        for task in self._connections:
            task.cancel()
        if self._connections:
            await asyncio.wait(self._connections)

    def push_soon(self) -> None:
        """Something changed: send a new snapshot to every gateway shortly."""
        if self._push_timer is None:
            self._push_timer = asyncio.get_running_loop().call_later(PUSH_DELAY_S, self._push)

    def snapshot(self) -> Snapshot:
        """The state now; its version grows with every change."""
        models = self._marked(self._pool.models())
        ready, reason, default_model = self._status(models)
        new = Snapshot(self._snapshot.version, models, ready, reason, default_model, logs.level())
        if new != self._snapshot:
            self._snapshot = msgspec.structs.replace(new, version=new.version + 1)
        return self._snapshot

    def broadcast(self, event: Event) -> None:
        """Tell every gateway."""
        frame = pack(messages.encode(event))
        for gateway in self._gateways:
            gateway.send_packed(frame)

    def _push(self) -> None:
        self._push_timer = None
        before = self._snapshot.version
        now = self.snapshot()
        if now.version != before:
            frame = pack(messages.encode(now))
            for gateway in self._gateways:
                gateway.send_packed(frame)

    # --- connections --------------------------------------------------------------------------

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            await self._serve(reader, writer)
        except (TimeoutError, ConnectionError) as error:
            log.warning("control connection refused", error=str(error) or type(error).__name__)
        except asyncio.CancelledError:
            pass  # by `close`, and nothing comes after it
        finally:
            self._connections.discard(task)
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        hello = await asyncio.wait_for(_read(reader, MAX_HELLO), HELLO_DEADLINE_S)
        if hello is None:
            return
        if not isinstance(hello, Hello):
            raise ProtocolError("the first message must be Hello")
        if not hmac.compare_digest(hello.secret.encode(), self.secret.encode()):
            raise ProtocolError(f"wrong secret from pid {hello.pid}")
        if hello.role == "gateway":
            await self._serve_gateway(reader, _Gateway(writer), hello.pid)
        else:
            await self._serve_worker(reader, _Connection(writer), hello)

    async def _serve_gateway(
        self, reader: asyncio.StreamReader, gateway: _Gateway, pid: int
    ) -> None:
        turnstile = Turnstile(
            self._pool, self._admission, self._ledger, gateway.answer, self._traces
        )
        gateway.send(self.snapshot())
        self._gateways.add(gateway)
        self._on_gateway(pid)
        log.info("gateway connected", pid=pid)
        try:
            while (message := await _read(reader)) is not None:
                if isinstance(message, Acquire):
                    turnstile.acquire(message)
                elif isinstance(message, Withdraw):
                    turnstile.withdraw(message.call)
                    self._orders.withdraw(gateway, message.call)
                elif isinstance(message, Order):
                    self._orders.take(gateway, message)
                elif isinstance(message, Usage):
                    self._on_usage(message)
                elif isinstance(message, Release):
                    turnstile.release(message)
                else:
                    raise ProtocolError(f"a gateway does not send {type(message).__name__}")
        finally:
            self._gateways.discard(gateway)
            turnstile.drop()
            self._orders.drop(gateway)
            log.info("gateway gone", pid=pid)

    async def _serve_worker(
        self, reader: asyncio.StreamReader, worker: _Connection, hello: Hello
    ) -> None:
        replica: Replica | None = self._pool.replica(hello.replica)
        if replica is None or not replica.attached(worker.send):
            raise ProtocolError(f"no replica {hello.replica!r} waits for a worker")
        try:
            while (message := await _read(reader)) is not None:
                if isinstance(message, WorkerMessage):
                    replica.received(message)
                else:
                    raise ProtocolError(f"a worker does not send {type(message).__name__}")
        finally:
            replica.detached()


async def _read(reader: asyncio.StreamReader, most: int = MAX_FRAME) -> ClientMessage | None:
    payload = await read_frame(reader, most)
    return None if payload is None else messages.decode_client(payload)
