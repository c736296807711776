"""Tests of `tricorn.manager.figures.usage`."""

from __future__ import annotations

from tricorn.manager.figures.usage import UsageTotals
from tricorn.manager.protocol.usage import Usage


def test_totals_and_speeds() -> None:
    """Totals are since the start, the speed of the last minute, or of less where it is younger."""
    now = [100.0]
    usage = UsageTotals(lambda: now[0])
    assert (usage.average_s(), usage.tokens_per_second()) == (None, 0.0)
    now[0] = 110.0
    usage.add(Usage(2, 1, 3.0, 5, 20))
    assert (usage.average_s(), usage.tokens_per_second()) == (1.5, 2.0)
    now[0] = 165.0
    usage.add(Usage(1, 0, 0.0, 5, 40))
    assert usage.tokens_per_second() == 1.0
    now[0] = 175.0
    assert usage.tokens_per_second() == 40 / 60
    assert usage.total == Usage(3, 1, 3.0, 10, 60)
    assert usage.uptime_s() == 75.0
