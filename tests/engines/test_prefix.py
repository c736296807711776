"""What two prompts have in common."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tricorn.engines.prefix import common_prefix


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [([], [], 0), ([1], [], 0), ([1, 2, 3], [1, 2, 4], 2), ([1, 2], [1, 2, 3], 2), ([2], [1], 0)],
)
def test_common_prefix(a: list[int], b: list[int], expected: int) -> None:
    """The length of the longest common beginning, from either side."""
    assert common_prefix(a, b) == common_prefix(b, a) == expected


@given(
    st.lists(st.integers(0, 2), max_size=40),
    st.lists(st.integers(0, 2), max_size=5),
    st.lists(st.integers(0, 2), max_size=5),
)
def test_common_prefix_is_what_counting_gives(head: list[int], a: list[int], b: list[int]) -> None:
    """The search by halves finds what a look at each token finds."""
    x, y = head + a, head + b
    expected = 0
    while expected < min(len(x), len(y)) and x[expected] == y[expected]:
        expected += 1
    assert common_prefix(x, y) == expected
