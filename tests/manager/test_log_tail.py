"""Tests of `tricorn.manager.replicas.log_tail`."""

from __future__ import annotations

import pytest

from tricorn.manager.replicas.log_tail import kept, redacted


@pytest.mark.parametrize(
    ("env", "text", "expected"),
    [
        ({}, "as it is", "as it is"),
        ({"HF_TOKEN": "hf_abcdef"}, "401 for hf_abcdef.", "401 for [redacted]."),
        ({"ANYTHING": "s3cr3t"}, "?q=s3cr3t&s3cr3t", "?q=[redacted]&[redacted]"),
        ({"OMP_NUM_THREADS": "4"}, "4 threads of 44", "4 threads of 44"),
        ({"LEVEL": "DEBUG"}, "DEBUG all", "DEBUG all"),
        ({"MY_KEY": "abc"}, "key abc", "key [redacted]"),
        ({"API_KEY": " "}, "a b", "a b"),
        ({"A": "secret", "B": "secret-long"}, "secret-long secret", "[redacted] [redacted]"),
    ],
)
def test_values_of_the_environment_are_not_shown(
    env: dict[str, str], text: str, expected: str
) -> None:
    """Those that may be secret: not short numbers and words under harmless names."""
    assert redacted(text, env) == expected


def test_every_line_is_looked_at() -> None:
    """And none is dropped."""
    assert kept(["a", "b secret", ""], {"X": "secret"}) == ["a", "b [redacted]", ""]
