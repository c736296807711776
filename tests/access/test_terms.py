"""Tests of `tricorn.access.terms`."""

from __future__ import annotations

from typing import Any

import pytest

from tricorn.access.permissions import USING
from tricorn.access.terms import Allowance, Identity, Terms, terms


def test_by_default_models_are_used() -> None:
    """Nothing is managed by a key of which nothing was said, and nothing is limited."""
    assert terms({}) == Terms(permissions=USING)
    assert terms({}).allowance() == Allowance()
    assert not Allowance().limits_tokens()


def test_other_names_are_not_looked_at() -> None:
    """Claims of a JWT have names of their own beside ours."""
    found = terms({"sub": "x", "exp": 1, "requests_per_minute": 3, "weight": 2})
    assert found.allowance() == Allowance(requests_per_minute=3, weight=2.0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"permissions": []},
        {"permissions": ["root"]},
        {"permissions": "all"},
        {"models": [""]},
        {"requests_per_minute": 0},
        {"tokens_per_minute": "5"},
        {"weight": 0},
        {"reasoning_field": "thoughts"},
    ],
)
def test_what_is_refused(wrong: dict[str, Any]) -> None:
    """With the name of what is wrong."""
    with pytest.raises(ValueError, match=next(iter(wrong))):
        terms(wrong)


def test_identity() -> None:
    """It may what its terms say."""
    one = Identity("k", "n", Terms(permissions=("chat",), models=("a*",)))
    assert one.may("admin", "chat")
    assert not one.may("admin")
    assert one.may_use("x", "ab")
    assert not one.may_use("x")
