"""Starts and ends the servers that are compared."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
START_S = 300.0
VLLM_KV_BYTES = 2 << 30


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


class Server:
    """A server process in a session of its own; a context manager.

    model: its name in requests; None: the first one that it lists.
    """

    def __init__(
        self,
        name: str,
        command: list[str],
        port: int,
        ready: str,
        env: dict,
        model: str | None = None,
    ) -> None:
        self.name = name
        self.port = port
        self._model = model
        self._ready = f"http://127.0.0.1:{port}{ready}"
        self._log = tempfile.NamedTemporaryFile(prefix=f"{name}-", suffix=".log")  # noqa: SIM115 - closed in __exit__
        self._process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, **env},
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def __enter__(self) -> Server:
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                break
            try:
                with urllib.request.urlopen(self._ready, timeout=2):
                    return self
            except (urllib.error.URLError, OSError):
                time.sleep(0.2)
        log = Path(self._log.name).read_text(errors="replace")[-2000:]
        self.__exit__()
        raise RuntimeError(f"{self.name} did not come up:\n{log}")

    def model(self) -> str:
        if self._model is None:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/v1/models") as answer:
                self._model = str(json.load(answer)["data"][0]["id"])
        return self._model

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGTERM)
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, signal.SIGKILL)
        self._log.close()


def tricorn(model: Path, threads: int, engine: str) -> Server:
    """Tricorn in production mode with one gateway worker, as fits so few cores."""
    port = free_port()
    command = [sys.executable, "run.py", "--mode", "prod", "--port", str(port), "--workers", "1"]
    env = {"MAX_CPU_THREADS": str(threads), "INFERENCE_ENGINE": engine}
    if engine == "llamacpp":
        env["CONTEXT_LENGTH"] = "8192"
    return Server("tricorn", [*command, "--model", str(model)], port, "/ready", env)


def llama_server(binary: Path, model: Path, threads: int) -> Server:
    port = free_port()
    command = [str(binary), "-m", str(model), "--port", str(port), "-np", "16", "-kvu"]
    return Server(
        "llama-server", [*command, "-t", str(threads), "-c", "32768"], port, "/health", {}
    )


def tricorn_with_room_for_one(folder: Path, default: str, threads: int) -> Server:
    """For the models of a folder."""
    port = free_port()
    command = [sys.executable, "run.py", "--mode", "prod", "--port", str(port), "--workers", "1"]
    env = {
        "MAX_CPU_THREADS": str(threads),
        "MODEL_BASE_PATH": str(folder),
        "MAX_CONCURRENT_MODELS": "1",
        "CONTEXT_LENGTH": "8192",
        "HF_CACHE": "false",
    }
    return Server("tricorn", [*command, "--model", default], port, "/ready", env)


def llama_router(binary: Path, folder: Path, threads: int) -> Server:
    """llama-server in router mode, likewise."""
    port = free_port()
    command = [str(binary), "--models-dir", str(folder), "--models-max", "1", "--port", str(port)]
    command += ["-np", "16", "-kvu", "-t", str(threads), "-c", "32768"]
    return Server("llama-server router", command, port, "/health", {})


def mlx_lm_server(model: Path) -> Server:
    """mlx_lm.server from Tricorn's own environment: the same mlx, the same mlx-lm."""
    port = free_port()
    command = [*_module("mlx", "mlx_lm.server"), "--model", str(model), "--port", str(port)]
    command += ["--log-level", "WARNING"]
    return Server("mlx_lm.server", command, port, "/health", {}, model="default_model")


def vllm_serve(model: Path, threads: int) -> Server:
    """vLLM's own server from Tricorn's own environment, eager and on as many threads."""
    port = free_port()
    command = [*_module("vllm", "vllm.entrypoints.openai.api_server"), "--model", str(model)]
    command += ["--served-model-name", model.name, "--port", str(port), "--enforce-eager"]
    command += ["--kv-cache-memory-bytes", str(VLLM_KV_BYTES), "--disable-uvicorn-access-log"]
    env = {
        "HF_HUB_OFFLINE": "1",
        "VLLM_NO_USAGE_STATS": "1",
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",
        "OMP_NUM_THREADS": str(threads),
    }
    return Server("vllm serve", command, port, "/health", env)


def _module(environment: str, module: str) -> list[str]:
    return [str(ROOT / ".engines" / environment / "bin" / "python"), "-m", module]


def batched_bench(binary: Path, model: Path, threads: int, concurrent: int) -> float:
    """Decoded tokens a second of llama.cpp itself, with nothing around it."""
    command = [str(binary), "-m", str(model), "-c", "32768", "-kvu", "-t", str(threads)]
    command += ["-npp", "64", "-ntg", "64", "-npl", str(concurrent)]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    rows = [line.split("|") for line in printed.splitlines() if line.startswith("|")]
    column = [cell.strip() for cell in rows[0]].index("S_TG t/s")
    return float(rows[-1][column])
