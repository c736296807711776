"""gunicorn with the gateway: started, watched, restarted when it dies, and ended in order."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import signal
import socket
import sys
from pathlib import Path

import tricorn
from tricorn import logs
from tricorn.config import Settings
from tricorn.errors import StartupError
from tricorn.manager import backoff, processes

COMMAND = [
    sys.executable,
    "-m",
    "gunicorn",
    "-c",
    "python:tricorn.gateway.gunicorn_conf",
    "tricorn.gateway.app:create_app()",
]
HOPELESS = 3
"""A gateway that dies so often without ever having connected will not come up by itself."""
STEADY_S = 30.0

log = logs.get("gateway process")


def check_port(host: str, port: int) -> None:
    """Bind the address and let go of it. StartupError says what is wrong with it."""
    try:
        found = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE | socket.AI_ADDRCONFIG
        )
    except OSError as error:
        raise StartupError(f"HOST {host!r} is no address of this machine: {error}") from error
    family, kind, protocol, _, address = found[0]
    with socket.socket(family, kind, protocol) as probe:
        if os.name == "posix":  # elsewhere this option lets two servers share a port
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except PermissionError as error:
            raise StartupError(
                f"the port {port} needs more rights than this user has; choose one above 1023"
            ) from error
        except OSError as error:
            if error.errno == errno.EADDRNOTAVAIL:
                raise StartupError(f"HOST {host!r} is no address of this machine") from error
            raise StartupError(
                f"cannot listen on {host}:{port}: {error.strerror or error}; is another server"
                " running there? Choose another port with --port"
            ) from error


class GatewayProcess:
    """Call `run` once; it returns after `stop`, or raises StartupError where it is hopeless."""

    def __init__(self, settings: Settings, run_dir: Path, command: list[str] | None = None) -> None:
        self._drain_s = settings.drain_timeout_s
        self._run_dir = run_dir
        self._command = command or COMMAND
        self._stopping = asyncio.Event()
        self._process: asyncio.subprocess.Process | None = None
        self._connected = False

    def connected(self, pid: int) -> bool:
        """A gateway worker has reached the control socket; True where it is one of this gunicorn's,
        which works then. Others may have been started by hand."""
        try:
            ours = os.name != "posix" or os.getpgid(pid) == self.pid
        except ProcessLookupError:
            return False
        self._connected = self._connected or ours
        return ours

    @property
    def pid(self) -> int | None:
        """Of gunicorn's master; None while there is none."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    async def run(self) -> None:
        """Keep a gateway running until `stop` is called, then end it."""
        loop = asyncio.get_running_loop()
        failures = 0
        stopping = loop.create_task(self._stopping.wait())
        try:
            while not self._stopping.is_set():
                self._connected = False
                started = loop.time()
                process = self._process = await self._start()
                ended = loop.create_task(process.wait())
                await asyncio.wait({ended, stopping}, return_when=asyncio.FIRST_COMPLETED)
                if self._stopping.is_set():
                    break
                processes.kill_group(process)  # workers that outlived their master
                how = processes.describe_exit(process.returncode)
                steady = self._connected and loop.time() - started >= STEADY_S
                failures = 1 if steady else failures + 1
                if not self._connected and failures >= HOPELESS:
                    raise StartupError(f"the gateway does not start: gunicorn {how} each time")
                delay_s = backoff.GATEWAY.delay_s(failures)
                log.error("the gateway died and is started again", how=how, delay_s=delay_s)
                await asyncio.wait({stopping}, timeout=delay_s)
        finally:
            stopping.cancel()
            await self._end()

    def stop(self) -> None:
        """Ask it to finish what runs and end."""
        self._stopping.set()

    def kill(self) -> None:
        """End it now."""
        self._stopping.set()
        if self._process is not None and self._process.returncode is None:
            processes.kill_group(self._process)

    async def _start(self) -> asyncio.subprocess.Process:
        source = str(Path(tricorn.__file__).parents[1])
        paths = [source, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
        environment = os.environ | {
            "TRICORN_RUN_DIR": str(self._run_dir),
            "TRICORN_MANAGED": "1",
            "PYTHONPATH": os.pathsep.join(dict.fromkeys(paths)),
        }
        try:
            return await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.DEVNULL,
                env=environment,
                **processes.session_arguments(),
            )
        except OSError as error:
            raise StartupError(f"the gateway cannot be started: {error}") from error

    async def _end(self) -> None:
        process = self._process
        if process is None:
            return
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                # To the master only: it ends its workers, which finish their requests.
                process.send_signal(signal.SIGTERM)
            await processes.ended_within(process, self._drain_s)
        processes.kill_group(process)
        await processes.ended_within(process, processes.KILL_WAIT_S)
