"""Tests of `tricorn.manager.figures.monitoring`, over a real pool and workers."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.manager.customer import Customer, customer_of, on_loop
from tests.manager.harness import Manager, running, settings_for
from tests.polling import wait_until

from tricorn import __version__, logs
from tricorn.errors import InvalidRequest
from tricorn.log_files.rotating import put_aside
from tricorn.manager.protocol.usage import EndedRequest, Usage

DEPLOY = Path(__file__).parents[2] / "deploy"
HISTOGRAM_PARTS = ("_bucket", "_sum", "_count")


async def scraped(customer: Customer) -> dict[str, float]:
    """Sample → value."""
    text = (await customer.order("metrics"))["text"]
    pairs = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, _, value in pairs}


def lines_in(manager: Manager, name: str) -> list[dict[str, Any]]:
    """Of a log file; nothing more is written to any."""
    manager.desk.monitoring.files.close()
    text = (manager.settings.log_dir / name).read_text()
    return [json.loads(line) for line in text.splitlines()]


@on_loop
async def test_a_scrape_loads_nothing(folder: Path) -> None:
    """What is not loaded is down, and stays so."""
    async with running(settings_for(folder, models={"a": {}})) as manager:
        found = await scraped(customer_of(manager))
        assert found['tricorn_model_up{model_name="a",engine="fake"}'] == 0
        assert found["tricorn_models_loaded"] == 0
        assert found[f'tricorn_build_info{{version="{__version__}"}}'] == 1
        assert manager.started == []


@on_loop
async def test_a_loaded_model(folder: Path) -> None:
    """Its replica, the engine's figures, its memory and its load."""
    budget = {"main": 10**12}
    async with running(settings_for(folder, models={"a": {}}), budget=budget) as manager:
        customer = customer_of(manager)
        await customer.order("load", model="a")
        replica = manager.replica("a")
        told = lambda: replica.stats is not None and manager.memories.seconds  # noqa: E731
        await asyncio.to_thread(wait_until, told)
        manager.books.ledger.settle(replica.name, {"main": 1000})
        lease = await manager.client().lease("a")
        found = await scraped(customer)
        model = 'model_name="a",engine="fake"'
        one = f'{model},replica="{replica.name}"'
        assert found[f"tricorn_model_up{{{model}}}"] == 1
        assert found[f'tricorn_replicas{{{model},state="READY"}}'] == 1
        assert found[f"tricorn_leased_requests{{{model}}}"] == 1
        assert found[f"tricorn_queued_requests{{{model}}}"] == 0
        assert found[f"tricorn_num_requests_running{{{one}}}"] == 0
        assert found[f"tricorn_prefix_cache_queries_total{{{one}}}"] >= 0
        assert found['tricorn_memory_budget_bytes{place="main"}'] == 10**12
        assert found['tricorn_memory_held_bytes{place="main"}'] == 1000
        assert found[f'tricorn_model_memory_bytes{{{one},place="main"}}'] == 1000
        assert found[f"tricorn_model_loads_total{{{model}}}"] == 1
        assert found[f"tricorn_model_load_duration_seconds_count{{{model}}}"] == 1
        engine = 'tricorn_process_resident_memory_bytes{process="engine",model_name="a"}'
        assert found[engine] > 10**6
        assert lease.replica == replica.name
        assert lease.served == "a"


@on_loop
async def test_operations_are_told(folder: Path) -> None:
    """Loads, why they ended, failures: counted, and written with what they took."""
    models = {"a": {}, "b": {}, "bad": {"load_error": "no such weights"}}
    async with running(settings_for(folder, models=models)) as manager:
        customer = customer_of(manager)
        await customer.order("load", model="a")
        await manager.client().lease("b")  # there is one place
        await customer.order("unload", model="b", force=True)
        with pytest.raises(Exception, match="no such weights"):
            await customer.order("load", model="bad")
        found = await scraped(customer)
        evicted = 'tricorn_model_unloads_total{model_name="a",engine="fake",reason="evicted"}'
        asked = 'tricorn_model_unloads_total{model_name="b",engine="fake",reason="asked"}'
        failed = 'tricorn_model_failures_total{model_name="bad",engine="fake",when="loading"}'
        assert (found[evicted], found[asked], found[failed]) == (1, 1, 1)
        told = lines_in(manager, "metrics.log")
    assert {line["event"] for line in told} == {"model_operation"}
    assert [(line["operation"], line["model"]) for line in told] == [
        ("load", "a"),
        ("evict", "a"),
        ("load", "b"),
        ("unload", "b"),
        ("fail", "bad"),
    ]
    load, evict, *_, fail = told
    assert load["duration_s"] > 0
    assert load["pid"] > 0
    assert (evict["reason"], evict["served_s"] >= 0) == ("evicted", True)
    assert (fail["level"], fail["when"]) == ("error", "loading")
    assert "no such weights" in fail["reason"]


@on_loop
async def test_requests_are_summed_and_written(folder: Path) -> None:
    """The friendly figures are of the same sums; a gateway's own lines have their file too."""
    async with running(settings_for(folder, models={"a": {}})) as manager:
        customer = customer_of(manager)
        one = EndedRequest(0.0, "r1", "/v1/completions", 200, 1.0, model="a", served=True)
        line = logs.encode({"timestamp": "2026", "level": "warning", "event": "odd"})
        manager.desk.take(Usage(1, 0, 1.0, 3, 4, ended=[one], lines=[line]))
        manager.desk.take(Usage(1, 0, 3.0, 3, 4, ended=[one]))
        found = await scraped(customer)
        labels = 'route="/v1/completions",model_name="a",engine="fake",status="200"'
        name = f"tricorn_requests_total{{{labels}}}"
        figures = await customer.order("system")
        assert found[name] == figures["total_requests"] == 2
        assert manager.desk.usage.total.ended == []
        assert [one["request_id"] for one in lines_in(manager, "inference.log")] == ["r1", "r1"]
        lines = (await customer.order("logs.recent", limit=2))["data"]
        assert [one["event"] for one in lines] == ["request", "odd"]
        lines = (await customer.order("logs.recent", level="WARNING", model=None))["data"]
        assert [one["log"] for one in lines] == ["tricorn"]
        assert isinstance(await customer.refusal("logs.recent", limit=0), InvalidRequest)


@on_loop
async def test_the_level_changes_everywhere(folder: Path) -> None:
    """Here, in every engine worker, and in the snapshot that gateways get."""
    async with running(settings_for(folder, models={"a": {}})) as manager:
        customer = customer_of(manager)
        await customer.order("load", model="a")
        told: list[str] = []
        manager.replica("a").set_log_level = told.append  # type: ignore[method-assign]
        before = logs.level()
        answer = await customer.order("logs.level", level="ERROR")
        assert answer == {"object": "log_level", "level": "ERROR", "before": before}
        assert (logs.level(), told) == ("ERROR", ["ERROR"])
        assert manager.control.snapshot().log_level == "ERROR"
        assert isinstance(await customer.refusal("logs.level", level="LOUD"), InvalidRequest)


@on_loop
async def test_other_settings_hold_for_the_files(folder: Path) -> None:
    """From the next line on."""
    async with running(settings_for(folder)) as manager:
        manager.settings = manager.settings.model_copy(update={"log_max_bytes": 1024})
        manager.desk.monitoring.configure()
        path = manager.settings.log_dir / "tricorn.log"
        line = logs.encode({"event": "x" * 2000})
        manager.desk.monitoring.files.write(path.name, [line])
        await asyncio.to_thread(wait_until, lambda: path.exists() and path.stat().st_size)
        manager.desk.monitoring.files.write(path.name, [line])
        assert len(lines_in(manager, path.name)) == 1
        assert len(put_aside(path)) == 1


@on_loop
async def test_the_dashboard_shows_what_there_is(folder: Path) -> None:
    """Every name in it is exported, and all that is exported is in it."""
    async with running(settings_for(folder)) as manager:
        text = (await customer_of(manager).order("metrics"))["text"]
    exported = set(re.findall(r"^# TYPE (\w+) ", text, re.M))
    dashboard = (DEPLOY / "grafana-dashboard.json").read_text()
    json.loads(dashboard)
    shown = set()
    for name in re.findall(r"tricorn_\w+", dashboard):
        whole = next((name.removesuffix(p) for p in HISTOGRAM_PARTS if name.endswith(p)), name)
        shown.add(name if name in exported else whole)
    assert shown == exported


def test_prometheus_scrapes_the_route() -> None:
    [job] = yaml.safe_load((DEPLOY / "prometheus.yml").read_text())["scrape_configs"]
    assert job["metrics_path"] == "/metrics"


@on_loop
async def test_metrics_have_the_documented_names(folder: Path) -> None:
    """docs/monitoring.md names each of them, and no other."""
    async with running(settings_for(folder)) as manager:
        text = (await customer_of(manager).order("metrics"))["text"]
    document = (DEPLOY.parent / "docs" / "monitoring.md").read_text()
    assert set(re.findall(r"`(tricorn_\w+)`", document)) == set(
        re.findall(r"^# TYPE (\w+) ", text, re.M)
    )
