"""One server an engine, one after the other; and the matrix of what passed.

With WRITE_ENGINE_MATRIX=1 in the environment the matrix goes into docs/engines.md.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import openai
import psutil
import pytest
from tests.conformance import lora, matrix
from tests.conformance.engines import ENGINES, Engine
from tests.e2e.server import Server, running
from tests.polling import wait_until

HERE = Path(__file__).parent
TEST_S = 300
NOTICED_S = 30.0
MODELS = 8
"""More than an engine has here: to load one again takes half a minute where the engine is vLLM."""


@dataclass(frozen=True)
class Served:
    """An engine's server, ready."""

    engine: Engine
    server: Server

    @property
    def client(self) -> openai.OpenAI:
        return self.server.client

    @property
    def model(self) -> str:
        return self.engine.name

    def process(self) -> psutil.Process:
        """The model's engine worker; other models have others."""
        status = httpx.get(f"{self.server.url}/v1/models/{self.model}/status").json()
        (replica,) = status["replicas"]
        return psutil.Process(replica["pid"])

    def listed(self) -> set[str]:
        """The models that there are."""
        return {model.id for model in self.client.models.list()}

    def sizes(self) -> Path:
        """The folder of the model; where that is a GGUF, of one like it."""
        path = self.engine.model(self.engine)
        return path if path.is_dir() else ENGINES["mlx"].model(ENGINES["mlx"])


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.alone)
            item.add_marker(pytest.mark.timeout(TEST_S))
            if os.name != "posix":
                item.add_marker(pytest.mark.skip(reason="servers are ended by POSIX signals here"))


@pytest.fixture(scope="session", params=list(ENGINES))
def served(request: pytest.FixtureRequest) -> Iterator[Served]:
    engine = ENGINES[request.param]
    reason = engine.missing()
    if reason is not None:
        pytest.skip(reason)
    with running(
        config=engine.config(),
        default_model=engine.name,
        start_s=engine.start_s,
        load_timeout_s=engine.start_s,
        max_concurrent_models=MODELS,
    ) as server:
        yield Served(engine, server)


@pytest.fixture(scope="session")
def adapters(served: Served) -> Path:
    """Where the server looks for models, with the adapters `one` and `two` of the engine's model,
    without which it has started."""
    folder = served.server.folder / "models"
    for name, seed in (("one", 1), ("two", 2)):
        lora.put(folder / name, served.model, served.sizes(), seed=seed)
    if served.engine.takes_adapters:
        wait_until(lambda: f"{served.model}:two" in served.listed(), NOTICED_S)
    return folder


# --- the matrix ---------------------------------------------------------------------------------

_outcomes: matrix.Outcomes = {}


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    outcome = yield
    report = outcome.get_result()
    engine = getattr(item, "callspec", None) and item.callspec.params.get("served")
    if engine and item.path.is_relative_to(HERE):
        name = item.function.__doc__.split("\n")[0].rstrip(".")
        row = _outcomes.setdefault(name, {})
        if report.failed or report.skipped or report.when == "call":
            row[engine] = "passed" if report.passed else "skipped" if report.skipped else "failed"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not _outcomes:
        return
    table = matrix.table(_outcomes, list(ENGINES))
    terminalreporter.section("engines")
    terminalreporter.write_line(table)
    if os.environ.get("WRITE_ENGINE_MATRIX"):
        matrix.write(table)
