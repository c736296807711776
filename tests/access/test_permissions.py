"""Tests of `tricorn.access.permissions`."""

from __future__ import annotations

import pytest

from tricorn.access.permissions import holds, matches


@pytest.mark.parametrize(
    ("given", "wanted", "expected"),
    [
        (["chat"], ["chat"], True),
        (["chat"], ["embeddings"], False),
        (["chat"], ["embeddings", "chat"], True),
        (["all"], ["admin"], True),
        (["admin"], ["chat"], False),
        (["models:manage"], ["models:read"], True),
        (["models:read"], ["models:manage"], False),
        ([], ["chat"], False),
    ],
)
def test_what_is_held(given: list[str], wanted: list[str], expected: bool) -> None:
    """`all` is everything, managing includes reading, and nothing else includes anything."""
    assert holds(given, wanted) is expected


@pytest.mark.parametrize(
    ("patterns", "names", "expected"),
    [
        ([], ["a"], True),
        (["a*"], ["abc"], True),
        (["a*"], ["Abc"], False),
        (["org/?"], ["org/a"], True),
        (["b", "c"], ["a", "c"], True),
        (["b"], ["a"], False),
        (["a"], ["a:adapter"], False),
    ],
)
def test_models_that_match(patterns: list[str], names: list[str], expected: bool) -> None:
    """Any pattern for any of a model's names; letters as they are written."""
    assert matches(patterns, names) is expected
