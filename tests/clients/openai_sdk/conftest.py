"""OpenAI's client on the clients' server."""

from __future__ import annotations

import openai
import pytest
from tests.e2e.server import Server


@pytest.fixture
def client(served: Server) -> openai.OpenAI:
    return served.client
