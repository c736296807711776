"""The gateway over the manager's life: started, watched, restarted when it dies, replaced by a new
one when that is asked for, and ended in order.

The socket that clients connect to is the manager's. Each gateway serves at it, so that while one
follows another connections wait, and none is refused.

    replaced:  a new one is started beside it → all of the new workers have connected
               → the old one takes no more connections, and ends with its last request
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tricorn import logs
from tricorn.errors import Conflict, InternalError, StartupError
from tricorn.manager.lifecycle.gateway_process import GatewayProcess
from tricorn.manager.replicas import backoff
from tricorn.settings.config import Settings

HOPELESS = 3
"""A gateway that dies so often without ever having connected will not come up by itself."""
STEADY_S = 30.0
UP_S = 60.0
"""What a new gateway may take until all of its workers have connected."""
LONGEST_S = 3600.0
"""A replaced gateway cuts what still runs after so long. Not DRAIN_TIMEOUT_S: nobody waits for the
end of this one."""

log = logs.get("gateway process")


class GatewayKeeper:
    """Call `run` once; it returns after `stop`, or raises StartupError where it is hopeless.

    settings: those that hold now. listener: bound, and closed by `stop`; None: each gateway binds
    for itself, and none can be replaced. command: in place of the settings' server.
    """

    def __init__(
        self,
        settings: Callable[[], Settings],
        run_dir: Path,
        listener: socket.socket | None,
        command: Sequence[str] | None = None,
    ) -> None:
        self._settings = settings
        self._run_dir = run_dir
        self._listener = listener
        self._command = command
        self._stopping = asyncio.Event()
        self._current: GatewayProcess | None = None
        self._new: GatewayProcess | None = None
        self._replaced = asyncio.Event()
        self._replacing = asyncio.Lock()
        self._old: dict[asyncio.Task[None], GatewayProcess] = {}

    @property
    def pid(self) -> int | None:
        """Of gunicorn's master; None while there is none."""
        current = self._current
        return current.pid if current is not None and not current.ended.done() else None

    def connected(self, pid: int) -> bool:
        """A gateway worker has reached the control socket; True where it is one of the gateway that
        serves, which works then. Others are of one that is to replace it or that it has replaced,
        or have been started by hand."""
        if self._new is not None:
            self._new.connected(pid)
        return self._current is not None and self._current.connected(pid)

    async def run(self) -> None:
        """Keep a gateway running until `stop` is called, then end all that there are."""
        loop = asyncio.get_running_loop()
        failures = 0
        stopping = loop.create_task(self._stopping.wait())
        try:
            while not self._stopping.is_set():
                started = loop.time()
                current = self._current = await self._start()
                current = await self._watch(current, stopping)
                if self._stopping.is_set():
                    break
                current.kill()  # workers that outlived their master
                steady = current.has_connected and loop.time() - started >= STEADY_S
                failures = 1 if steady else failures + 1
                if not current.has_connected and failures >= HOPELESS:
                    raise StartupError(
                        f"the gateway does not start: it {current.how_it_ended} each time"
                    )
                delay_s = backoff.GATEWAY.delay_s(failures)
                log.error(
                    "the gateway died and is started again",
                    how=current.how_it_ended,
                    delay_s=delay_s,
                )
                await asyncio.wait({stopping}, timeout=delay_s)
        finally:
            stopping.cancel()
            await self._end()

    async def _watch(self, current: GatewayProcess, stopping: asyncio.Task[bool]) -> GatewayProcess:
        """Until the gateway that serves then has died, or `stop`; that gateway."""
        loop = asyncio.get_running_loop()
        while True:
            replaced = loop.create_task(self._replaced.wait())
            await asyncio.wait(
                {current.ended, stopping, replaced}, return_when=asyncio.FIRST_COMPLETED
            )
            replaced.cancel()
            if self._stopping.is_set():
                return current
            async with self._replacing:  # the one that is about to replace it may be well
                self._replaced.clear()
            serving = self._current
            assert serving is not None
            if serving is current and current.ended.done():
                return current
            current = serving

    async def replace(self) -> dict[str, Any]:
        """Start a new gateway, with the code and the settings that are there now, and end the one
        that serves when the new one does. Conflict where that cannot be; InternalError where the
        new one does not come up: the old one serves on."""
        if self._listener is None:
            raise Conflict(
                "The gateway cannot be replaced on this system: restart Tricorn as a whole."
            )
        if self._replacing.locked():
            raise Conflict("The gateway is being restarted already.")
        async with self._replacing:
            if self._stopping.is_set() or self._current is None:
                raise Conflict("The gateway is not running.")
            began = time.monotonic()
            new = await self._started()
            old, self._current, self._new = self._current, new, None
            self._replaced.set()
            self._retire(old)
            told: dict[str, Any] = {
                "pid": new.pid,
                "replaced_pid": old.pid,
                "workers": new.workers,
                "duration_s": round(time.monotonic() - began, 3),
            }
            log.info("the gateway was replaced", **told)
            return told

    async def _started(self) -> GatewayProcess:
        """A new gateway that is up."""
        try:
            new = self._new = await self._start()
        except StartupError as error:
            raise _failed(error.message) from error
        up = asyncio.get_running_loop().create_task(new.up.wait())
        stopping = asyncio.get_running_loop().create_task(self._stopping.wait())
        try:
            await asyncio.wait(
                {up, new.ended, stopping}, timeout=UP_S, return_when=asyncio.FIRST_COMPLETED
            )
            if new.up.is_set() and not new.ended.done() and not self._stopping.is_set():
                return new
        finally:
            up.cancel()
            stopping.cancel()
        self._new = None
        how = f"it {new.how_it_ended}" if new.ended.done() else "it did not come up in time"
        await new.end(0)
        if self._stopping.is_set():
            raise Conflict("Tricorn is shutting down.")
        raise _failed(how)

    def stop(self) -> None:
        """Take no more connections, finish what runs and end."""
        self._stopping.set()
        if self._listener is not None:
            self._listener.close()

    def kill(self) -> None:
        """End it now."""
        self.stop()
        for gateway in self._all():
            gateway.kill()

    async def _start(self) -> GatewayProcess:
        return await GatewayProcess.start(
            self._settings(), self._run_dir, self._listener, self._command
        )

    def _retire(self, old: GatewayProcess) -> None:
        task = asyncio.get_running_loop().create_task(old.end(LONGEST_S))
        self._old[task] = old
        task.add_done_callback(self._old.pop)

    def _all(self) -> list[GatewayProcess]:
        return [one for one in (self._current, self._new, *self._old.values()) if one is not None]

    async def _end(self) -> None:
        gateways = self._all()
        for task in list(self._old):
            task.cancel()
        if gateways:
            drain_s = self._settings().drain_timeout_s
            await asyncio.gather(*(gateway.end(drain_s) for gateway in gateways))


def _failed(how: str) -> InternalError:
    log.error("the new gateway has not started", how=how)
    return InternalError(
        f"The new gateway has not started: {how}. The old one serves on, with its settings. What"
        " the new one wrote is in Tricorn's output (journalctl -u tricorn, or logs/tricorn.out)."
    )
