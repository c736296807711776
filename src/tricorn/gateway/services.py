"""What the handlers of one gateway process share, made after the fork and at first use."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Protocol, cast

import msgspec
from flask import current_app

from tricorn.errors import ManagerUnavailable
from tricorn.gateway.guard import access
from tricorn.gateway.guard.key_book import KeyBook
from tricorn.gateway.http import disconnect
from tricorn.gateway.http.heartbeat import Heartbeat
from tricorn.gateway.orders import pinned
from tricorn.gateway.requests.deadline import Deadlines
from tricorn.manager.protocol.calls import Claim
from tricorn.manager.protocol.news import Snapshot
from tricorn.manager.protocol.usage import Usage
from tricorn.settings.config import Settings
from tricorn.storage.keys import KeyStore
from tricorn.storage.responses import ResponseStore
from tricorn.worker.client import EnginePool

FIRST_CONNECTION_S = 2.0
"""A gateway that has just started waits this long for its manager before it answers 503."""
EXTENSION = "tricorn"


class Manager(Protocol):
    """What the gateway needs of `manager.client.ManagerClient`; tests give their own."""

    def start(self) -> None: ...

    def snapshot(self) -> Snapshot | None: ...

    def wait_connected(self, timeout_s: float) -> bool: ...

    def acquire(
        self,
        model: str,
        request_id: str,
        inbox: SimpleQueue[object],
        *,
        key: str = "",
        prefix: tuple[int, ...] = (),
        keep_alive_s: float | None = None,
        claim: Claim | None = None,
        trace: dict[str, str] | None = None,
    ) -> int: ...

    def order(self, command: str, arguments: dict[str, Any], inbox: SimpleQueue[object]) -> int: ...

    def withdraw(self, call: int) -> None: ...

    def release(
        self,
        lease: int,
        *,
        lost: bool = False,
        prompt_tokens: int = 0,
        completion_tokens: int = 0,
    ) -> None: ...

    def listen(self, inbox: SimpleQueue[object]) -> int: ...

    def unlisten(self, ticket: int) -> None: ...

    def report(self, usage: Usage) -> bool: ...


class Services:
    """manager: None makes a `ManagerClient` for the run directory."""

    def __init__(self, settings: Settings, run_dir: Path, manager: Manager | None = None) -> None:
        self.settings = settings
        self.run_dir = run_dir
        self.responses = ResponseStore(
            settings.data_dir,
            ttl_s=settings.responses_ttl_s,
            max_responses=settings.max_stored_responses,
            max_bytes=settings.max_stored_bytes,
        )
        self.keys = KeyStore(settings.data_dir)
        self.key_book = KeyBook(self.keys)
        self._given = manager
        self._pid: int | None = None
        self._lock = threading.Lock()
        self._met_manager = False
        self._started_at = 0.0
        self._spread: tuple[Snapshot | None, frozenset[str]] = (None, frozenset())
        self.on_start: Callable[[], None] = lambda: None
        """Called once in each process that serves."""
        self.on_end: Callable[[], None] = lambda: None
        """Called when such a process ends in good order."""

    def start(self) -> None:
        """Connect, unless this process has done so already. Never in the process that preloads."""
        if self._pid == os.getpid():
            return
        with self._lock:
            if self._pid == os.getpid():
                return
            self._engines = EnginePool()
            self._watcher = disconnect.create()
            self._heartbeat = Heartbeat(self.settings.sse_keepalive_s)
            self._deadlines = Deadlines()
            self._manager = self._given or _manager_client(self.run_dir)
            self._manager.start()
            self._started_at = time.monotonic()
            self._pid = os.getpid()
            self.on_start()

    def connected(self) -> bool:
        """Whether the manager can be reached now."""
        return self._manager.snapshot() is not None

    @property
    def engines(self) -> EnginePool:
        self.start()
        return self._engines

    @property
    def watcher(self) -> disconnect.Watcher:
        self.start()
        return self._watcher

    @property
    def heartbeat(self) -> Heartbeat:
        self.start()
        return self._heartbeat

    @property
    def deadlines(self) -> Deadlines:
        self.start()
        return self._deadlines

    @property
    def manager(self) -> Manager:
        """The connection to the manager; waited for at the process's beginning, and only then."""
        self.start()
        if not self._met_manager:
            left = self._started_at + FIRST_CONNECTION_S - time.monotonic()
            self._met_manager = left <= 0 or self._manager.wait_connected(left)
        return self._manager

    def snapshot(self) -> Snapshot:
        """As `everything`, with the models that the request being handled may see."""
        snapshot = self.everything()
        return msgspec.structs.replace(snapshot, models=access.seen(pinned.seen(snapshot.models)))

    def everything(self) -> Snapshot:
        """The newest of what the manager pushed. ManagerUnavailable while not connected."""
        snapshot = self.manager.snapshot()
        if snapshot is None:
            raise ManagerUnavailable(
                "The gateway has no connection to Tricorn's manager; it goes on trying.",
                retry_after_s=1,
            )
        return snapshot

    def is_spread(self, model: str) -> bool:
        """Whether several replicas serve it, so that it matters which one gets a request."""
        snapshot = self.manager.snapshot()
        if snapshot is None:
            return False
        known, names = self._spread
        if known is not snapshot:
            names = frozenset(
                name
                for info in snapshot.models
                if info.replicas > 1
                for name in (info.id, *info.aliases)
            )
            self._spread = snapshot, names
        return model in names


def _manager_client(run_dir: Path) -> Manager:
    from tricorn.manager.client import ManagerClient

    return ManagerClient(run_dir)


def services() -> Services:
    """Of the application that handles the current request."""
    return cast(Services, current_app.extensions[EXTENSION])
