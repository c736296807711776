"""What is shown of settings."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from pydantic import SecretStr

from tricorn.settings.masking import MASK, shown
from tricorn.settings.model_settings import ModelDefaults


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("hf_token", SecretStr("s"), MASK),
        ("env", {"HF_TOKEN": "s", "AWS_SECRET_ACCESS_KEY": "s", "A": "b"}, None),
        ("http_proxy", "http://me:s@host:1/p", f"http://{MASK}@host:1/p"),
        ("http_proxy", "http://host:1/", "http://host:1/"),
        ("tokenizer", "auto", "auto"),
        ("max_tokens", 3, 3),
        ("ttl", math.inf, "never"),
        ("path", Path("a/b"), "a/b"),
        ("x", [1, None, True], [1, None, True]),
    ],
)
def test_secrets_are_masked(name: str, value: object, expected: object) -> None:
    """By their type, their name, or as part of an address; the rest is as it is."""
    if expected is None:
        expected = {"HF_TOKEN": MASK, "AWS_SECRET_ACCESS_KEY": MASK, "A": "b"}
    assert shown(value, name) == expected


def test_what_is_given_of_a_model() -> None:
    """Without what nobody has said."""
    given = ModelDefaults.model_validate({"threads": 2, "env": {"API_KEY": "s"}})
    assert shown(given) == {"threads": 2, "env": {"API_KEY": MASK}}
