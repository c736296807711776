"""Durations and sizes as people write them."""

from __future__ import annotations

import pytest

from tricorn.settings.quantities import FOREVER, amount_of, memory_amount, seconds


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (5, 5.0),
        ("5", 5.0),
        ("1.5", 1.5),
        ("5m", 300.0),
        ("1h30m", 5400.0),
        ("300ms", 0.3),
        ("1d", 86400.0),
        (0, 0.0),
        (-1, FOREVER),
        ("-5m", FOREVER),
        ("never", FOREVER),
        ("Infinity", FOREVER),
    ],
)
def test_durations(written: object, meant: float) -> None:
    assert seconds(written) == meant


@pytest.mark.parametrize(
    "written", ["", "soon", "5 m 3", "5x", True, None, [], "nan", float("nan")]
)
def test_no_duration(written: object) -> None:
    with pytest.raises(ValueError, match=r"must be|is no duration"):
        seconds(written)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("24GB", 24 * 10**9),
        ("8GiB", 8 * 2**30),
        ("8g", 8 * 2**30),
        ("1.5 MiB", 3 * 2**19),
        ("512", 512),
        (2e9, 2 * 10**9),
        (0.9, 0.9),
        ("0.9", 0.9),
        (1, 1.0),
    ],
)
def test_sizes(written: object, meant: float) -> None:
    """A number up to 1 is a share, anything else bytes."""
    found = memory_amount(written)
    assert found == meant
    assert isinstance(found, float) == (meant <= 1)


@pytest.mark.parametrize("written", ["", "much", "-1GB", "8XB", 0, -1, True, None, "0"])
def test_no_size(written: object) -> None:
    with pytest.raises(ValueError, match=r"must be|is no size"):
        memory_amount(written)


def test_amounts_of_what_is_there() -> None:
    assert amount_of(None, 100) == 100
    assert amount_of(0.25, 100) == 25
    assert amount_of(0.25, None) is None
    assert amount_of(40, 100) == 40
    assert amount_of(40, None) == 40
