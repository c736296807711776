"""Tests of `tricorn.metrics.exposition`."""

from __future__ import annotations

import math

import pytest

from tricorn.metrics.exposition import Family, number, text


def test_a_family_as_text() -> None:
    """Help, type, and one line a sample; nothing in a label can break out of its quotes."""
    family = Family("models", "gauge", 'All "models"\nof \\ all.')
    family.add(2, name='a"b\\c\nd', state="READY")
    family.add(0.25)
    assert text([family]).splitlines() == [
        '# HELP tricorn_models All "models"\\nof \\\\ all.',
        "# TYPE tricorn_models gauge",
        'tricorn_models{name="a\\"b\\\\c\\nd",state="READY"} 2',
        "tricorn_models 0.25",
    ]


def test_a_family_without_samples_is_told() -> None:
    """So that whoever asks for it knows the name."""
    assert text([Family("x", "counter", "X.")]) == "# HELP tricorn_x X.\n# TYPE tricorn_x counter\n"


@pytest.mark.parametrize(
    ("value", "shown"),
    [(3, "3"), (3.0, "3"), (0.001, "0.001"), (math.inf, "+Inf"), (-math.inf, "-Inf"), (True, "1")],
)
def test_numbers(value: float, shown: str) -> None:
    assert number(value) == shown


def test_what_is_no_number() -> None:
    assert number(math.nan) == "NaN"
