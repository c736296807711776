"""Clients as people use them, each in its own environment, against one server."""

from __future__ import annotations

import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.clients import environments, models
from tests.clients.conftest import CLIENT_S, FOREIGN, HERE
from tests.e2e.server import Server

from tricorn.installing import package_tools
from tricorn.installing.install_faults import InstallError

CONFIGURATION = HERE / "foreign.ini"


@pytest.fixture(scope="session")
def pythons() -> dict[str, Path | InstallError]:
    """Of each client. All are installed at the same time."""
    with ThreadPoolExecutor() as threads:
        return dict(zip(FOREIGN, threads.map(installed, FOREIGN), strict=True))


def installed(client: str) -> Path | InstallError:
    try:
        return environments.python(client)
    except InstallError as error:
        return error


@pytest.mark.parametrize("client", FOREIGN)
def test_client(
    client: str,
    pythons: dict[str, Path | InstallError],
    served: Server,
    vectors: Path | None,
) -> None:
    """All that this client's tests ask of the server works, seen with its own eyes."""
    python = pythons[client]
    if isinstance(python, InstallError):
        pytest.skip(f"{client} cannot be installed: {python}")
    folder = HERE / client
    command = [str(python), "-m", "pytest", "-c", str(CONFIGURATION), "--rootdir", str(folder)]
    ended = subprocess.run(
        [*command, "--confcutdir", str(folder), str(folder)],
        cwd=folder,  # not beside folders that are called like packages
        env=package_tools.clean_environment() | what_it_is_told(served, vectors),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=CLIENT_S,
        check=False,
    )
    print(ended.stdout)
    if ended.returncode != 0:
        pytest.fail(f"{client}:\n{ended.stdout}", pytrace=False)


def what_it_is_told(served: Server, vectors: Path | None) -> dict[str, str]:
    """Environment variables. The address has no path; TRICORN_EMBEDDER is empty where there is no
    model for vectors."""
    return {
        "TRICORN_URL": served.url,
        "TRICORN_MODEL": served.model,
        "TRICORN_SCRIPTED": models.SCRIPTED,
        "TRICORN_THINKER": models.THINKER,
        "TRICORN_EMBEDDER": models.EMBEDDER if vectors else "",
        "OPENAI_AGENTS_DISABLE_TRACING": "1",
        "LANGSMITH_TRACING": "false",
        "NO_PROXY": ",".join(filter(None, [os.environ.get("NO_PROXY"), "127.0.0.1"])),
    }
