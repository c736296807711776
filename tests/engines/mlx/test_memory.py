"""What fits into the machine."""

from __future__ import annotations

import pytest

from tricorn.engines.mlx.memory import GIB, MIB, CacheCost, Layer, available, context_length, plan
from tricorn.engines.mlx.options import MlxOptions
from tricorn.errors import ModelLoadFailed
from tricorn.hardware.facts import Facts

COST = CacheCost((Layer(1024),) * 4)


def test_a_cache_grows_in_steps() -> None:
    """Of 256 tokens; what has a window stops growing, and state of a fixed size does not grow."""
    assert COST.bytes_for(1) == COST.bytes_for(256) == 4 * 256 * 1024
    assert COST.bytes_for(257) == 4 * 512 * 1024
    mixed = CacheCost((Layer(10), Layer(10, window=512)), fixed_bytes=7)
    assert mixed.bytes_for(1024) == 10 * 1024 + 10 * 512 + 7


def test_the_longest_sequence_that_fits() -> None:
    """The inverse of its bytes."""
    assert COST.tokens_in(COST.bytes_for(512)) == 512
    assert COST.tokens_in(COST.bytes_for(512) - 1) == 256
    assert COST.tokens_in(10) == 0


@pytest.mark.parametrize(
    ("recommended", "available", "limit"),
    [
        (12 * GIB, None, 12 * GIB),
        (12 * GIB, 8 * GIB, 6 * GIB),
        (None, 16 * GIB, 12 * GIB),
        (None, None, 8 * GIB),
    ],
)
def test_the_limit_comes_from_the_machine(
    recommended: int | None, available: int | None, limit: int
) -> None:
    """The smaller of what Metal recommends and three quarters of what is free."""
    got = plan(
        MlxOptions(), weights=GIB, recommended=recommended, available=available, name="model"
    )
    assert got.limit == limit
    assert got.wired == recommended
    assert GIB + 2 * got.running + got.prefixes + got.buffers <= limit


def test_a_container_limits_what_is_available() -> None:
    """Whatever the machine around it has."""
    assert available(Facts(memory_available=8, memory_limit=4)) == 4
    assert available(Facts(memory_available=8)) == 8
    assert available(Facts(memory_available=8), promised=3) == 3
    assert available(Facts(memory_available=8), promised=9) == 8
    assert available(Facts()) is None


def test_limits_may_be_given() -> None:
    """But no more is wired than the system recommends."""
    options = MlxOptions(memory_limit=2048, wired_limit=9999, cache_limit=1, prompt_cache=0)
    got = plan(options, weights=GIB, recommended=4 * GIB, available=None, name="model")
    assert (got.limit, got.wired, got.buffers, got.prefixes) == (2 * GIB, 4 * GIB, MIB, 0)


def test_weights_that_leave_no_room_are_refused() -> None:
    """Rather than bringing the machine to its knees."""
    with pytest.raises(ModelLoadFailed, match=r"big takes 15\.9 GiB of the 16\.0 GiB .* quantised"):
        plan(
            MlxOptions(),
            weights=int(15.9 * GIB),
            recommended=16 * GIB,
            available=None,
            name="big",
        )


def test_the_context_is_what_was_trained_as_far_as_it_fits() -> None:
    """Unasked it shrinks to the room there is."""
    room = COST.bytes_for(2048)
    assert context_length(None, trained=1024, room=room, cost=COST, name="m") == 1024
    assert context_length(None, trained=8192, room=room, cost=COST, name="m") == 2048
    assert context_length(2000, trained=512, room=room, cost=COST, name="m") == 2000


def test_a_context_that_was_asked_for_and_does_not_fit_is_refused() -> None:
    """With the number that would."""
    with pytest.raises(ModelLoadFailed, match="set context_length to 2048 or less"):
        context_length(4096, trained=None, room=COST.bytes_for(2048), cost=COST, name="m")
