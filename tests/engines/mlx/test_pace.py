"""How many prompt tokens a step computes."""

from __future__ import annotations

from tricorn.engines.mlx.pace import LEAST, MOST, Pace


def test_a_step_is_as_long_as_was_measured() -> None:
    """Shorter while others wait for their next token."""
    pace = Pace(alone=None, beside=None)
    assert pace.tokens(prompts=1, decoding=0) == LEAST
    pace.measured(500, 0.5)
    assert pace.tokens(prompts=1, decoding=0) == 1000
    assert pace.tokens(prompts=1, decoding=4) == 200


def test_the_newest_measurement_counts_half() -> None:
    """And that of a few tokens not at all."""
    pace = Pace(alone=None, beside=None)
    pace.measured(500, 0.5)
    pace.measured(500, 1.0)
    pace.measured(1, 9.0)
    assert pace.tokens(prompts=1, decoding=0) == 750


def test_there_are_bounds() -> None:
    """A very slow machine still gets on, and a very fast one still listens."""
    slow, fast = Pace(alone=None, beside=None), Pace(alone=None, beside=None)
    slow.measured(20, 20.0)
    fast.measured(2000, 0.0)
    assert slow.tokens(prompts=1, decoding=1) == LEAST
    assert fast.tokens(prompts=1, decoding=0) == MOST


def test_a_burst_is_read_in_large_steps() -> None:
    """When more wait for their first token than for their next."""
    pace = Pace(alone=None, beside=100)
    assert pace.tokens(prompts=12, decoding=4) == 300
    assert pace.tokens(prompts=4, decoding=12) == 100


def test_fixed_numbers_are_kept() -> None:
    """Whatever is measured."""
    pace = Pace(alone=256, beside=64)
    pace.measured(5000, 0.1)
    assert pace.tokens(prompts=1, decoding=0) == 256
    assert pace.tokens(prompts=1, decoding=1) == 64
