"""Gateways with and without keys."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from flask import Flask
from tests.gateway.access.door import STATUS, Door
from tests.gateway.engines import FakeManager


@pytest.fixture(scope="module")
def manager() -> Iterator[FakeManager]:
    fake = FakeManager({"plain": {"answer": "Hello"}, "other": {}})
    fake.answers |= {"unload": STATUS, "status": STATUS, "reload": {}, "system": {}}
    yield fake
    fake.close()


@pytest.fixture
def door(make_app: Callable[..., Flask], manager: FakeManager) -> Door:
    return Door(make_app(manager, host="0.0.0.0"))


@pytest.fixture
def open_door(make_app: Callable[..., Flask], manager: FakeManager) -> Door:
    return Door(make_app(manager))
