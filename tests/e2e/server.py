"""A Tricorn started as a user starts it: `run.py` in a process of its own, SmolLM2 behind it."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import psutil
from tests.leases import answer
from tests.polling import wait_until

from tricorn.engines.base import EngineStats
from tricorn.engines.request import SamplingParams
from tricorn.manager.client import ManagerClient
from tricorn.manager.protocol.calls import Granted
from tricorn.worker import protocol
from tricorn.worker.client import EngineClient

PROJECT = Path(__file__).parents[2]
MODEL = "SmolLM2-135M-Instruct.Q4_1"
START_S = 45.0
QUIET_THREADS = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "0"}
"""llama.cpp's threads spin at barriers, which beside other busy processes takes many times as long
as sleeping."""
END_S = 20.0

Messages = list[dict[str, str]]


def user(text: str) -> Any:
    """A conversation of one message."""
    return [{"role": "user", "content": text}]


class Server:
    """copies: further names that the model's file is there under; config: of a tricorn.yaml; mode:
    of run.py; dev has one gateway process, which starts anew when a source file changes."""

    def __init__(
        self,
        folder: Path,
        *,
        copies: tuple[str, ...] = (),
        config: str = "",
        mode: str = "dev",
        **settings: object,
    ) -> None:
        self.folder = folder
        self.model = str(settings.get("default_model", MODEL))
        self.run_dir = folder / "run"
        models = folder / "models"
        models.mkdir()
        for name in (MODEL, *copies):
            _put(PROJECT / "models" / f"{MODEL}.gguf", models / f"{name}.gguf")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        paths = {"run_dir": "run", "log_dir": "logs", "data_dir": "data"}
        wanted = {"model_base_path": models, "default_model": MODEL, "hf_cache": False}
        wanted["spare_workers"] = 0  # tests look for engines' processes
        wanted |= {name: folder / value for name, value in paths.items()}
        wanted |= settings
        environment = {name.upper(): str(value) for name, value in wanted.items()}
        (folder / "tricorn.yaml").write_text(config)
        flags = ["--port", str(self.port), "--config", str(folder / "tricorn.yaml")]
        self._command = [sys.executable, "run.py", "--mode", mode, *flags]
        self._environment = os.environ | QUIET_THREADS | environment
        self._seen: set[psutil.Process] = set()
        self.start()
        self.client = self.sdk()

    def start(self) -> None:
        """Also again, once it has ended."""
        with (self.folder / "output.txt").open("a") as output:
            self.process = psutil.Popen(
                self._command,
                cwd=PROJECT,
                env=self._environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def sdk(self, **options: Any) -> openai.OpenAI:
        """OpenAI's client; it retries nothing by itself."""
        options = {"max_retries": 0, "timeout": 60.0} | options
        return openai.OpenAI(base_url=f"{self.url}/v1", api_key="none", **options)

    def output(self) -> str:
        return (self.folder / "output.txt").read_text(errors="replace")

    # --- waiting -------------------------------------------------------------------------------

    def wait_ready(self, timeout_s: float = START_S) -> None:
        wait_until(self.is_ready, timeout_s)
        self.processes()

    def is_ready(self) -> bool:
        assert self.process.poll() is None, self.output()
        try:
            return httpx.get(f"{self.url}/ready").status_code == 200
        except httpx.TransportError:
            return False

    # --- processes -----------------------------------------------------------------------------

    def processes(self) -> list[psutil.Process]:
        """Everything that lives below the manager; remembered, to be looked for at the end."""
        with contextlib.suppress(psutil.NoSuchProcess):
            self._seen.update(self.process.children(recursive=True))
        return [process for process in self._seen if is_alive(process)]

    def engines(self) -> list[psutil.Process]:
        return [process for process in self.processes() if _runs(process, "worker/__main__.py")]

    def gateways(self) -> list[psutil.Process]:
        """gunicorn's workers, without its master."""
        found = [process for process in self.processes() if _runs(process, "gunicorn")]
        masters = {process.ppid() for process in found}
        return [process for process in found if process.pid not in masters]

    def engine(self) -> psutil.Process:
        (process,) = self.engines()
        return process

    def gateway(self) -> psutil.Process:
        (process,) = self.gateways()
        return process

    # --- the engine's figures ------------------------------------------------------------------

    @contextlib.contextmanager
    def figures(self) -> Iterator[Callable[[], EngineStats]]:
        """A function that gives the engine's current figures, got as a gateway gets them."""
        with self.engine_client() as client:
            yield lambda: _figures(client)

    @contextlib.contextmanager
    def engine_client(self) -> Iterator[EngineClient]:
        """A connection to the model's engine, beside the gateway's."""
        manager = ManagerClient(self.run_dir)
        manager.start()
        try:
            assert manager.wait_connected(END_S)
            inbox: queue.SimpleQueue[object] = queue.SimpleQueue()
            manager.acquire(self.model, "figures", inbox)
            lease = answer(inbox, END_S)
            assert isinstance(lease, Granted), lease
            client = EngineClient(lease.address, lease.secret)
            try:
                yield client
            finally:
                client.close()
                manager.release(lease.lease)
        finally:
            manager.close()

    # --- ending --------------------------------------------------------------------------------

    def stop(self) -> int:
        """SIGTERM, as `docker stop` does; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        code: int = self.process.wait(END_S)
        return code

    def kill(self) -> None:
        """Whatever happened, nothing stays."""
        for process in [*self.processes(), self.process]:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self.process.wait(END_S)
        self.client.close()


@contextlib.contextmanager
def running(*, ready: bool = True, start_s: float = START_S, **options: Any) -> Iterator[Server]:
    """A server of one's own; its output is shown where the test fails."""
    # Not pytest's folder: a unix socket's path must be short.
    with tempfile.TemporaryDirectory(prefix="tricorn-e2e-") as name:
        server = Server(Path(name), **options)
        try:
            if ready:
                server.wait_ready(start_s)
            yield server
        except BaseException:
            print(server.output())
            for log in server.folder.glob("logs/**/*.log"):
                print(log.name, log.read_text(errors="replace"), sep=":\n")
            raise
        finally:
            server.kill()


def is_alive(process: psutil.Process) -> bool:
    """Whether it runs; a zombie does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def events(response: httpx.Response) -> Iterator[dict[str, Any] | str]:
    """A raw stream's events: JSON, or the text where it is none ("[DONE]")."""
    for line in response.iter_lines():
        if line.startswith("data: "):
            data = line.removeprefix("data: ")
            yield json.loads(data) if data.startswith("{") else data


def _put(file: Path, target: Path) -> None:
    # Not a symlink: those that lead out of the folder are refused.
    try:
        os.link(file, target)
    except OSError:  # another file system
        shutil.copy(file, target)


def _runs(process: psutil.Process, what: str) -> bool:
    try:
        return any(what in part for part in process.cmdline())
    except psutil.NoSuchProcess:
        return False


def _figures(client: EngineClient) -> EngineStats:
    inbox: queue.SimpleQueue[object] = queue.SimpleQueue()
    sampling = SamplingParams(temperature=0, max_tokens=1)
    client.start(
        request_id="figures", prompt=protocol.TextPrompt("a"), sampling=sampling, inbox=inbox
    )
    while not isinstance(event := inbox.get(timeout=END_S), protocol.Finished):
        assert not isinstance(event, protocol.Failed), event
    return client.stats
