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
    assert set(Rate(1, 0, 0.0, 1).headers()) < set(HEADERS)


def test_headers_for_anthropic() -> None:
    """Its clients are told the time at which all is there again."""
    assert Rate().anthropic_headers(0) == {}
    assert Rate(None, 0, 0.0, 1000, 900, 6.2).anthropic_headers(1767225600.0) == {
        "anthropic-ratelimit-tokens-limit": "1000",
        "anthropic-ratelimit-tokens-remaining": "900",
        "anthropic-ratelimit-tokens-reset": "2026-01-01T00:00:07Z",
    }
    assert set(Rate(1, 0, 0.0, 1).anthropic_headers(0)) < set(HEADERS)
