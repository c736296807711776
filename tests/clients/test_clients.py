"""Clients as people use them, each in its own environment, against one server."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.clients import environments, models
from tests.clients.conftest import CLIENT_S, FOREIGN, HERE
from tests.e2e.server import Server

from tricorn.installing import package_tools
from tricorn.installing.install_faults import InstallError

CONFIGURATION = HERE / "foreign.ini"
LONGEST = "langchain"
TOGETHER = 2
"""Clients at a time: one alone leaves the engine with one stream nearly all the time."""

Run = subprocess.CompletedProcess[str]


@pytest.fixture(scope="session")
def runs(
    request: pytest.FixtureRequest, served: Server, vectors: Path | None
) -> Iterator[dict[str, Future[Run]]]:
    """Of each asked client's tests, running or over; InstallError where it cannot be installed."""
    tests = {item.name for item in request.session.items}
    asked = [client for client in FOREIGN if f"{test_client.__name__}[{client}]" in tests]
    asked.sort(key=lambda client: client != LONGEST)
    with ThreadPoolExecutor() as threads:  # which waits for all of them
        pythons = {client: threads.submit(environments.python, client) for client in asked}
    told = what_it_is_told(served, vectors)
    with ThreadPoolExecutor(TOGETHER) as threads:
        yield {client: threads.submit(run, client, pythons[client], told) for client in asked}


def run(client: str, python: Future[Path], told: dict[str, str]) -> Run:
    folder = HERE / client
    command = [str(python.result()), "-m", "pytest", "-c", str(CONFIGURATION)]
    return subprocess.run(
        [*command, "--rootdir", str(folder), "--confcutdir", str(folder), str(folder)],
        cwd=folder,  # not beside folders that are called like packages
        env=package_tools.clean_environment() | told,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=CLIENT_S,
        check=False,
    )


@pytest.mark.parametrize("client", FOREIGN)
def test_client(client: str, runs: dict[str, Future[Run]]) -> None:
    """All that this client's tests ask of the server works, seen with its own eyes."""
    try:
        ended = runs[client].result()
    except InstallError as error:
        pytest.skip(f"{client} cannot be installed: {error}")
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
