"""Tests of `manager.desk.service_orders`: what is told of Tricorn as a whole."""

from __future__ import annotations

from pathlib import Path

from tests.manager.customer import customer_of, on_loop
from tests.manager.harness import running, settings_for

from tricorn.manager.protocol.usage import Usage


@on_loop
async def test_events(folder: Path) -> None:
    """States of replicas and changes of the list, numbered; asked for after any of them."""
    async with running(settings_for(folder, models={"a": {}})) as manager:
        customer = customer_of(manager)
        manager.control.snapshot()
        await customer.order("load", model="a")
        await customer.order("load", model="b", settings={"engine": "fake"}, wait=False)
        manager.control.snapshot()
        events = (await customer.order("events.recent", after=0))["events"]
        told = [(event["kind"], event["model"], event["data"].get("state")) for event in events]
        assert told[:2] == [("replica.state", "a", "LOADING"), ("replica.state", "a", "READY")]
        assert ("model.listed", "b", None) in told
        numbers = [event["number"] for event in events]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
        later = await customer.order("events.recent", after=numbers[1])
        assert [event["number"] for event in later["events"]] == numbers[2:]


@on_loop
async def test_system_figures(folder: Path) -> None:
    """Measured, with what gateways have counted."""
    async with running(settings_for(folder, models={"a": {}})) as manager:
        customer = customer_of(manager)
        await customer.order("load", model="a")
        manager.desk.usage.add(Usage(2, 1, 3.0, 10, 20))
        figures = await customer.order("system")
        assert (figures["active_models"], figures["total_requests"]) == (1, 2)
        assert figures["avg_response_time"] == 1.5
        assert figures["tokens_per_second"] > 0
        assert 0 < figures["memory_usage"] <= 100
        assert figures["details"]["tricorn_memory_bytes"] > 10**7
        assert figures["details"]["failed_requests"] == 1
