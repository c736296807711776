"""Tests of `tricorn.manager.memory.residue`."""

from __future__ import annotations

import asyncio

import pytest
import structlog

from tricorn.manager.memory.ledger import Needs
from tricorn.manager.memory.residue import ResidueWatch, residue

MIB, GIB = 1 << 20, 1 << 30


@pytest.mark.parametrize(
    ("held", "came_back", "expected"),
    [
        (4 * GIB, 4 * GIB, 0),
        (4 * GIB, 5 * GIB, 0),
        (4 * GIB, 4 * GIB - 300 * MIB, 0),  # within a tenth
        (4 * GIB, 3 * GIB, GIB),
        (4 * GIB, -GIB, 5 * GIB),
        (100 * MIB, -100 * MIB, 0),  # others take so much any time
        (100 * MIB, -200 * MIB, 300 * MIB),
    ],
)
def test_residue(held: int, came_back: int, expected: int) -> None:
    """What is missing, where it is more than noise."""
    before = {"main": 10 * GIB}
    after = {"main": 10 * GIB + came_back}
    assert residue({"main": held}, before, after).get("main", 0) == expected


def test_places_that_are_not_watched() -> None:
    """Nothing is said of them, and each of the others stands for itself."""
    held = {"main": GIB, "cuda:0": GIB, "cuda:1": GIB}
    before = {"main": 0, "cuda:0": 0}
    assert residue(held, before, {"main": GIB, "cuda:0": 0}) == {"cuda:0": GIB}


class Machine:
    """free: what is read, one after another; the last one stays."""

    def __init__(self, *free: int) -> None:
        self.free = list(free)

    def __call__(self) -> Needs:
        return {"main": self.free.pop(0) if len(self.free) > 1 else self.free[0]}


def watched(machine: Machine) -> tuple[ResidueWatch, dict[str, int] | None]:
    watch = ResidueWatch(machine, settle_s=0.0)
    ending = watch.ending("m", {"main": 4 * GIB})
    return watch, asyncio.run(watch.ended(ending))


def test_all_came_back() -> None:
    """Though it took a moment."""
    watch, found = watched(Machine(GIB, GIB, 3 * GIB, 5 * GIB))
    assert found == watch.of("m") == {}
    assert watch.of("n") is None


def test_it_did_not_come_back() -> None:
    """That is logged, and can be asked for."""
    with structlog.testing.capture_logs() as logs:
        watch, found = watched(Machine(GIB, 2 * GIB))
    assert found == watch.of("m") == {"main": 3 * GIB}
    (line,) = (entry for entry in logs if entry["log_level"] == "warning")
    assert (line["model"], line["main"]) == ("m", "3072 MiB")


def test_another_model_takes_it_meanwhile() -> None:
    """Then nothing can be told; the last figure stays."""

    async def scenario() -> None:
        machine = Machine(GIB)
        watch = ResidueWatch(machine, settle_s=0.0)
        ending = watch.ending("m", {"main": 4 * GIB})
        checking = asyncio.create_task(watch.ended(ending))
        await asyncio.sleep(0)
        watch.disturbed()
        assert await checking is None
        assert watch.of("m") is None

    asyncio.run(scenario())


def test_a_swap() -> None:
    """The next load begins at once; what had come back by then was seen."""

    async def scenario() -> None:
        watch = ResidueWatch(Machine(GIB, 5 * GIB), settle_s=60.0)
        checking = asyncio.create_task(watch.ended(watch.ending("m", {"main": 4 * GIB})))
        await asyncio.sleep(0)
        watch.disturbed()
        assert await checking == {}

    asyncio.run(scenario())
