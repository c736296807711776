"""Tests of `tricorn.manager.access.usage_ledger`."""

from __future__ import annotations

import asyncio
import datetime
from pathlib import Path
from typing import Any

import pytest
from tests.access.clock import Clock

from tricorn.access.terms import Terms
from tricorn.errors import StorageUnavailable
from tricorn.manager.access import usage_ledger
from tricorn.manager.access.usage_ledger import UsageLedger
from tricorn.storage.keys import KeyStore, UsageRow

LAST_DAY = datetime.datetime(2026, 11, 30, 23, tzinfo=datetime.UTC).timestamp()


def test_what_is_spent_by_day_and_month(tmp_path: Path) -> None:
    """Also what was before this start; a new day and a new month begin at nothing."""
    clock = Clock(LAST_DAY)
    store = KeyStore(tmp_path)
    before = UsageRow("2026-10-31", "k", "m", 1, 9, 9)
    store.add([UsageRow("2026-11-02", "k", "m", 1, 7, 3), before], {})

    async def run() -> None:
        ledger = UsageLedger(store, clock)
        assert ledger.spent("k") == (0, 10)
        ledger.add("k", "m", 1, 2, 3)
        assert ledger.spent("k") == (5, 15)
        assert ledger.spent("other") == (0, 0)
        clock.now += 3600
        assert ledger.spent("k") == (0, 0)
        ledger.add("k", "m", 1, 1, 0)
        assert ledger.spent("k") == (1, 1)
        await ledger.close()

    asyncio.run(run())
    rows = store.usage("2026-11-30")
    assert [(row.day, row.prompt_tokens) for row in rows] == [("2026-11-30", 2), ("2026-12-01", 1)]


def test_it_is_written_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Soon, and together; the key tells when it was used."""
    monkeypatch.setattr(usage_ledger, "WRITE_BEHIND_S", 0.0)
    store = KeyStore(tmp_path)
    key, _ = store.create("a", Terms())
    added: asyncio.Queue[None] = asyncio.Queue()

    async def run() -> None:
        loop = asyncio.get_running_loop()

        def add(*arguments: Any) -> None:
            KeyStore.add(store, *arguments)
            loop.call_soon_threadsafe(added.put_nowait, None)

        monkeypatch.setattr(store, "add", add)
        ledger = UsageLedger(store, Clock(LAST_DAY))
        ledger.add(key.id, "m", 1, 2, 3)
        ledger.add(key.id, "m", 1, 2, 3)
        await asyncio.wait_for(added.get(), 10)
        assert store.usage("2026") == [UsageRow("2026-11-30", key.id, "m", 2, 4, 6)]
        assert store.get(key.id).last_used == LAST_DAY
        await ledger.close()

    asyncio.run(run())
    assert added.empty(), "nothing was left to be written"


def test_what_cannot_be_written_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is lost, nothing counts twice."""
    monkeypatch.setattr(usage_ledger, "WRITE_BEHIND_S", 0.0)
    store = KeyStore(tmp_path)
    failed = asyncio.Event()

    async def run() -> None:
        loop = asyncio.get_running_loop()

        def fail(*arguments: Any) -> None:
            loop.call_soon_threadsafe(failed.set)
            raise StorageUnavailable("full")

        monkeypatch.setattr(store, "add", fail)
        ledger = UsageLedger(store, Clock(LAST_DAY))
        ledger.add("k", "m", 1, 2, 3)
        await asyncio.wait_for(failed.wait(), 10)
        ledger.add("k", "m", 1, 2, 3)
        monkeypatch.undo()
        await ledger.close()

    asyncio.run(run())
    assert store.usage("2026") == [UsageRow("2026-11-30", "k", "m", 2, 4, 6)]


def test_without_a_store() -> None:
    """It counts, and keeps nothing."""

    async def run() -> None:
        ledger = UsageLedger(None, Clock(LAST_DAY))
        ledger.add("k", "m", 1, 2, 3)
        assert ledger.spent("k") == (5, 5)
        await ledger.close()

    asyncio.run(run())


def test_a_store_that_could_not_be_read_at_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was there counts for budgets as soon as it can be read, and is not written again."""
    monkeypatch.setattr(usage_ledger, "WRITE_BEHIND_S", 0.0)
    store = KeyStore(tmp_path)
    store.add([UsageRow("2026-11-30", "k", "m", 1, 7, 3)], {})

    def fail(*arguments: Any, **options: Any) -> None:
        raise StorageUnavailable("locked")

    async def run() -> None:
        monkeypatch.setattr(store, "usage", fail)
        ledger = UsageLedger(store, Clock(LAST_DAY))
        ledger.add("k", "m", 1, 2, 3)
        assert ledger.spent("k") == (5, 5)
        monkeypatch.undo()
        await ledger.close()
        assert ledger.spent("k") == (15, 15)

    asyncio.run(run())
    assert store.usage("2026") == [UsageRow("2026-11-30", "k", "m", 2, 9, 6)]


def test_a_fault_of_another_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Loses nothing either: it is written with what comes next."""
    monkeypatch.setattr(usage_ledger, "WRITE_BEHIND_S", 0.0)
    store = KeyStore(tmp_path)
    failed = asyncio.Event()

    async def run() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda *_: None)

        def fail(*arguments: Any) -> None:
            loop.call_soon_threadsafe(failed.set)
            raise OverflowError("an odd number")

        monkeypatch.setattr(store, "add", fail)
        ledger = UsageLedger(store, Clock(LAST_DAY))
        ledger.add("k", "m", 1, 2, 3)
        await asyncio.wait_for(failed.wait(), 10)
        while ledger._writing is not None:
            await asyncio.sleep(0)
        monkeypatch.undo()
        ledger.add("k", "m", 1, 2, 3)
        await ledger.close()

    asyncio.run(run())
    assert store.usage("2026") == [UsageRow("2026-11-30", "k", "m", 2, 4, 6)]
