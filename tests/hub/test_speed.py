"""How fast, and how long yet."""

from __future__ import annotations

from tricorn.hub.speed import Speed


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_speed_over_the_last_seconds() -> None:
    """Too early to tell, then the average, then without what is long ago."""
    clock = Clock()
    speed = Speed(clock)
    clock.now += 60  # what is done before the first bytes does not count
    assert speed.per_second() is None
    speed.add(1000)
    assert (speed.per_second(), speed.remaining_s(10)) == (None, None)
    clock.now += 2
    speed.add(2000)
    assert speed.per_second() == 1000.0
    assert speed.remaining_s(5000) == 5.0
    for _ in range(30):
        clock.now += 1
        speed.add(10)
    assert speed.per_second() == 10.0


def test_nothing_comes() -> None:
    """Without speed there is no end in sight."""
    clock = Clock()
    speed = Speed(clock)
    speed.add(7)
    clock.now += 5
    assert (speed.per_second(), speed.remaining_s(1)) == (0.0, None)
