"""What the gateway's environment holds, and how much memory the small processes need."""

from __future__ import annotations

from importlib.util import find_spec

import psutil
import pytest
from tests.e2e.server import MODEL, Server, user

pytestmark = pytest.mark.timeout(180)

LIMIT = 80 * 1024 * 1024


@pytest.mark.parametrize("package", ["llama_cpp", "vllm", "mlx", "mlx_lm", "torch"])
def test_no_engine_in_gateway_environment(package: str) -> None:
    """No engine can be imported where gateway, manager and these tests run."""
    assert find_spec(package) is None


@pytest.mark.skipif(not psutil.LINUX, reason="measured on Linux")
def test_memory_while_serving(server: Server) -> None:
    """A gateway worker and the manager stay under 80 MB while they serve."""
    stream = server.client.chat.completions.create(
        model=MODEL, messages=user("Tell me a story."), max_tokens=30, stream=True
    )
    next(iter(stream))
    sizes = [process.memory_info().rss for process in [*server.gateways(), server.process]]
    stream.close()
    assert len(sizes) == 2
    assert max(sizes) < LIMIT
