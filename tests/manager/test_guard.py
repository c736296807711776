"""Tests of `tricorn.manager.replicas.guard`."""

from __future__ import annotations

import pytest

from tricorn.engines.base import EngineStats
from tricorn.errors import EngineGenerateError
from tricorn.manager.replicas.guard import Guard, Supervision


class Watched:
    """A guard that looks once a second, and the canaries that it sent."""

    def __init__(self, canary_interval_s: float = 0.0, hang_timeout_s: float = 0.0) -> None:
        self.sent: list[float] = []
        self.now = 0.0
        self.guard = Guard(
            Supervision(canary_interval_s, hang_timeout_s),
            0.0,
            lambda: self.sent.append(self.now),
        )

    def second(self, *, idle: bool = True, steps: int = 0) -> str | None:
        self.now += 1.0
        self.guard.told(EngineStats(steps=steps), self.now)
        return self.guard.look(self.now, idle=idle)


def test_one_that_is_idle_for_long_is_tried() -> None:
    """Again and again, as long as it is idle."""
    one = Watched(canary_interval_s=10.0)
    for _ in range(25):
        assert one.second() is None
        one.guard.sang(None)
    assert one.sent == [10.0, 20.0]


def test_zero_is_never() -> None:
    """CANARY_INTERVAL_S=0, as by default."""
    one = Watched()
    assert [one.second() for _ in range(99)] == [None] * 99
    assert one.sent == []


@pytest.mark.parametrize("used", [{"idle": False}, {"steps": 1}])
def test_use_puts_it_off(used: dict[str, int]) -> None:
    """A lease that is held when it looks, or steps that were made between two looks."""
    one = Watched(canary_interval_s=10.0)
    for _ in range(8):
        one.second()
    one.second(**used)  # type: ignore[arg-type]
    for _ in range(9):
        one.second(steps=used.get("steps", 0))
    assert one.sent == []
    one.second(steps=used.get("steps", 0))
    assert one.sent == [19.0]


def test_a_canary_that_fails_is_the_end() -> None:
    """With the engine's reason."""
    one = Watched(canary_interval_s=2.0)
    one.second()
    one.second()
    one.guard.sang(EngineGenerateError("no more memory").info())
    assert (one.second() or "").endswith("while it was idle, and failed: no more memory")


@pytest.mark.parametrize(("hang_timeout_s", "answer_s"), [(0.0, 30), (5.0, 5)])
def test_a_canary_without_an_answer_is_the_end(hang_timeout_s: float, answer_s: int) -> None:
    """After the time of a hang, or half a minute where hangs are not looked for."""
    one = Watched(canary_interval_s=1.0, hang_timeout_s=hang_timeout_s)
    found = [one.second() for _ in range(answer_s + 1)]
    assert one.sent == [1.0]
    assert found[:-1] == [None] * answer_s
    assert f"gave none in {answer_s} s" in (found[-1] or "")


def test_a_canary_may_wait_for_others() -> None:
    """Requests that came meanwhile go on; it is its turn later."""
    one = Watched(canary_interval_s=1.0)
    one.second()
    assert one.sent == [1.0]
    found = [one.second(idle=False, steps=step) for step in range(100)]
    assert found == [None] * 100
    assert one.sent == [1.0]


def test_a_hang_is_told() -> None:
    """What the watch for hangs finds."""
    one = Watched(hang_timeout_s=5.0)
    for now in (1.0, 2.0):
        assert one.guard.look(now, idle=False) is None
    found = [one.guard.look(float(now), idle=False) for now in range(3, 6)]
    assert found == [None, None, "has not been heard of for 5 s"]


def test_who_was_away_starts_anew() -> None:
    """A manager that was stopped takes nobody's silence meanwhile for a fault."""
    one = Watched(canary_interval_s=10.0, hang_timeout_s=5.0)
    for _ in range(10):
        one.second()
    assert one.sent == [10.0]
    assert one.guard.look(1000.0, idle=True) is None
    assert one.guard.look(1001.0, idle=True) is None


@pytest.mark.parametrize(
    ("canary_interval_s", "hang_timeout_s", "tick_s"),
    [(0, 0, 1), (600, 120, 1), (0.5, 120, 0.25), (600, 0.5, 0.25)],
)
def test_it_looks_often_enough(
    canary_interval_s: float, hang_timeout_s: float, tick_s: float
) -> None:
    """Every second, or twice in the shorter of the two times."""
    assert Watched(canary_interval_s, hang_timeout_s).guard.tick_s == tick_s
