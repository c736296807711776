"""Tests of `tricorn.loopback`."""

from __future__ import annotations

import pytest

from tricorn.loopback import is_loopback


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("LOCALHOST", True),
        ("a.localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("", False),
        ("10.0.0.1", False),
        ("localhost.example", False),
    ],
)
def test_is_loopback(name: str, expected: bool) -> None:
    """Addresses of this machine alone, and names that always mean one."""
    assert is_loopback(name) is expected
