"""The end of a server. Last of its folder by name, since none of the others could follow it."""

from __future__ import annotations

import openai
import pytest
from tests.conformance.ask import text
from tests.conformance.conftest import Served
from tests.e2e.server import is_alive


def test_stop_leaves_nothing(served: Served) -> None:
    """Unloading ends every process of the engine"""
    engines = served.server.engines()
    assert served.process() in engines
    family = [*engines, *(child for each in engines for child in each.children(recursive=True))]
    assert served.server.stop() == 0
    assert not any(is_alive(process) for process in family)
    with pytest.raises(openai.APIConnectionError):
        text(served)
