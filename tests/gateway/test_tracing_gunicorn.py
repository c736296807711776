"""Traces of real processes: gunicorn, a manager and an engine worker, and a collector of ours."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.gateway.control_server import ControlServer, free_port
from tests.gateway.engines import ScriptedWorker
from tests.gateway.gunicorn_server import MESSAGES, Gunicorn
from tests.polling import wait_until
from tests.tracing.collector import Collector, collecting

from tricorn.engines.request import TokenDelta
from tricorn.settings.config import Settings
from tricorn.worker.protocol import Delta, Finished, Started

pytestmark = pytest.mark.skipif(os.name != "posix", reason="gunicorn needs POSIX")

TRACE = "0af7651916cd43dd8448eb211c80319c"
CALLER = "b7ad6b7169203331"


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    """To which all that is started here sends."""
    with collecting() as running:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", running.endpoint)
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
        yield running


def test_one_trace_through_all_processes(tmp_path: Path, collector: Collector) -> None:
    """The caller's: the gateway's span, the manager's with the load below it, the engine's. With
    gunicorn's workers forked from a loaded application, and a stream in the fast lane."""
    settings = Settings(run_dir=tmp_path / "run", port=free_port())
    (tmp_path / "tricorn.yaml").write_text(
        f"port: {settings.port}\nrun_dir: {settings.run_dir}\nworkers: 1\ndefault_model: m\n"
        f"model_base_path: {tmp_path}\ndata_dir: {tmp_path}\nlog_dir: {tmp_path}\n"
        "hf_cache: false\nmodels: {m: {engine: fake}, other: {engine: fake}}\n"
    )
    gunicorn = Gunicorn(settings, folder=tmp_path)
    url = f"http://127.0.0.1:{settings.port}"
    try:
        wait_until(lambda: httpx.get(f"{url}/ready").status_code == 200)
        answer = httpx.post(
            f"{url}/v1/chat/completions",
            json={"model": "other", "messages": MESSAGES, "stream": True},
            headers={"traceparent": f"00-{TRACE}-{CALLER}-01"},
            timeout=15,
        )
        assert answer.text.endswith("data: [DONE]\n\n")
        wait_until(lambda: len(collector.of(TRACE)) == 4)
    finally:
        gunicorn.close()
    spans = collector.of(TRACE)
    assert spans["chat"].parent == CALLER
    assert spans["acquire"].parent == spans["engine"].parent == spans["chat"].span_id
    assert spans["load"].parent == spans["acquire"].span_id
    parts = {name: span.resource["tricorn.part"] for name, span in spans.items()}
    assert parts == {
        "chat": "gateway",
        "engine": "gateway",
        "acquire": "manager",
        "load": "manager",
    }
    assert {span.resource["service.name"] for span in spans.values()} == {"tricorn"}
    assert spans["engine"].attributes["gen_ai.latency.time_in_queue"] >= 0
    longest = spans["chat"].seconds
    assert 0 < spans["acquire"].seconds + spans["engine"].seconds <= longest
    log = (tmp_path / "inference.log").read_text()
    assert f'"trace_id":"{TRACE}"' in log


def test_the_last_spans_are_sent(
    tmp_path: Path, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a gateway that ends before it would have sent them."""
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "600000")
    worker = ScriptedWorker()
    settings = Settings(run_dir=tmp_path, port=free_port(), workers=1, drain_timeout_s=5)
    control = ControlServer(settings, worker)
    gunicorn = Gunicorn(settings)
    _ask(gunicorn, worker)
    assert collector.spans == []
    gunicorn.close()
    assert sorted(span.name for span in collector.spans) == ["chat m", "engine m"]
    control.close()
    worker.close()


def test_a_collector_that_is_away_costs_nobody_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Requests are served, and the log has one line of it, not one for each span."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.1")
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "10")
    worker = ScriptedWorker()
    settings = Settings(run_dir=tmp_path, port=free_port(), workers=1, drain_timeout_s=1)
    control = ControlServer(settings, worker)
    gunicorn = Gunicorn(settings)
    said = ""

    def told() -> bool:
        nonlocal said
        _ask(gunicorn, worker)
        said += capfd.readouterr().err
        return "the collector takes no traces" in said

    wait_until(told)
    for _ in range(5):
        _ask(gunicorn, worker)
    gunicorn.close()
    control.close()
    worker.close()
    said += capfd.readouterr().err
    assert said.count("the collector takes no traces") == 1
    assert "Traceback" not in said


def _ask(gunicorn: Gunicorn, worker: ScriptedWorker) -> None:
    """One request, served."""
    connection = gunicorn.post({"messages": MESSAGES})
    start = worker.started()
    end = Delta(start.id, TokenDelta(0, "Hi", [1], "stop"))
    worker.send(Started(start.id, 3), end, Finished(start.id))
    received = b""
    while b'"Hi"' not in received:
        received += connection.recv(65536)
    assert received.startswith(b"HTTP/1.1 200 OK")
    connection.close()
