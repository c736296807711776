"""Tests of `tricorn.access.rate`."""

from __future__ import annotations

import pytest

from tricorn.access.rate import HEADERS, Rate, duration


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0s"),
        (0.0191, "20ms"),
        (0.9999, "1s"),
        (1.5, "1.5s"),
        (20, "20s"),
        (59.9999, "1m0s"),
        (360, "6m0s"),
        (61.25, "1m1.25s"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    """OpenAI's notation, rounded up."""
    assert duration(seconds) == text


def test_headers() -> None:
    """OpenAI's names, of the limits that there are."""
    assert Rate().headers() == {}
    assert Rate(60, 59, 1.0).headers() == {
        "x-ratelimit-limit-requests": "60",
        "x-ratelimit-remaining-requests": "59",
        "x-ratelimit-reset-requests": "1s",
    }
    assert tuple(Rate(1, 0, 0.0, 1).headers()) == HEADERS
