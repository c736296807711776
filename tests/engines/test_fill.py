"""Fill-in-the-middle tokens by their names."""

from __future__ import annotations

from tricorn.engines.fill import NAMES, find
from tricorn.engines.spec import FillTokens


def test_each_family_by_its_names() -> None:
    """In the order prefix, suffix, middle."""
    for names in NAMES:
        vocabulary = {name: 10 + at for at, name in enumerate(names)} | {"other": 1}
        assert find(vocabulary.get) == FillTokens(10, 11, 12)


def test_all_three_or_none() -> None:
    """A vocabulary with some of them, or of two families, was not made for it."""
    assert find({}.get) is None
    assert find({"<fim_prefix>": 0, "<fim_suffix>": 1, "<|fim_middle|>": 2}.get) is None


def test_id_zero_counts() -> None:
    """It is an id like any other."""
    names = NAMES[0]
    assert find(dict(zip(names, range(3), strict=True)).get) == FillTokens(0, 1, 2)
