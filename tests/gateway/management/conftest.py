"""A manager whose orders are looked at."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.gateway.engines import FakeManager


@pytest.fixture
def manager() -> Iterator[FakeManager]:
    """One of its own: orders are looked at."""
    fake = FakeManager({"org/a:Q4": {"answer": "Hi"}, "plain": {}})
    yield fake
    fake.close()
