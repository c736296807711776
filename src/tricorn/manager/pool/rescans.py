"""Looks at the catalog again: soon after somebody has asked for it, or for a model that is new."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from tricorn import logs
from tricorn.engines.spec import ModelSpec
from tricorn.manager.pool.calls import Call

log = logs.get("pool")


class Rescans:
    """Single-flight, with the calls that wait for the next one."""

    def __init__(
        self,
        scan: Callable[[], Mapping[str, ModelSpec]],
        *,
        adopt: Callable[[Mapping[str, ModelSpec]], None],
        admit: Callable[[Call], None],
    ) -> None:
        """scan: blocks, so it is called in a thread. adopt: gets what was found. admit: then gets
        each call that has waited, also where nothing could be found."""
        self._scan = scan
        self._adopt = adopt
        self._admit = admit
        self._calls: list[Call] = []
        self._running: asyncio.Task[None] | None = None

    def waiting(self) -> int:
        """How many calls wait for a scan that has not begun."""
        return len(self._calls)

    def soon(self) -> None:
        """Scan now, unless one is running."""
        if self._running is None:
            self._running = asyncio.get_running_loop().create_task(self._run())

    def wait(self, call: Call) -> None:
        """Admit the call after a scan that begins from now on."""
        self._calls.append(call)
        self.soon()

    async def _run(self) -> None:
        calls: list[Call] = []
        try:
            while True:
                # Calls that come while the scan runs need one that began after them.
                calls, self._calls = self._calls, []
                self._adopt(await asyncio.to_thread(self._scan))
                self._admit_all(calls)
                calls = []
                if not self._calls:
                    return
        except OSError as error:
            log.warning("the models cannot be scanned", error=str(error))
        finally:  # whatever happened, nobody is left waiting for it
            unknown, self._calls, self._running = self._calls, [], None
            self._admit_all(calls + unknown)

    def _admit_all(self, calls: list[Call]) -> None:
        for call in calls:
            self._admit(call)
