"""What two prompts have in common."""

from __future__ import annotations

SHARING_WORTH = 16
"""Tokens of prefix that another sequence is about to compute, for which it is worth waiting."""


def common_prefix(a: list[int], b: list[int]) -> int:
    """Length of the longest common beginning; slices are compared, so it runs at C speed."""
    low, high = 0, min(len(a), len(b))
    if a[:high] == b[:high]:
        return high
    while high - low > 1:
        middle = (low + high) // 2
        if a[low:middle] == b[low:middle]:
            low = middle
        else:
            high = middle
    return low
