"""Several models on one server."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait

import pytest
from tests.e2e.server import END_S, MODEL, Server, is_alive, running, user
from tests.polling import wait_until

pytestmark = pytest.mark.timeout(120)

TWIN = "twin"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running(copies=(TWIN,), max_concurrent_models=1) as found:
        yield found


def ask(server: Server, model: str) -> str:
    """The name under which the answer came."""
    answer = server.client.chat.completions.create(
        model=model, messages=user("Hello!"), max_tokens=2
    )
    return answer.model


def test_second_model_replaces_first(server: Server) -> None:
    """With room for one model, asking for another unloads it, and its process ends."""
    assert sorted(model.id for model in server.client.models.list()) == sorted([MODEL, TWIN])
    for model, other in ((MODEL, TWIN), (TWIN, MODEL)):
        assert ask(server, model) == model
        before = server.engine()
        assert ask(server, other) == other
        wait_until(lambda before=before: not is_alive(before), END_S)
        assert len(server.engines()) == 1


def test_one_load_for_many_requests(server: Server) -> None:
    """Requests for a model that is loading share the one load."""
    assert ask(server, MODEL) == MODEL
    known = {process.pid for process in server.engines()}
    with ThreadPoolExecutor(6) as threads:
        answers = [threads.submit(ask, server, TWIN) for _ in range(6)]
        wait_until(lambda: {process.pid for process in server.engines()} - known, END_S)
        new: set[int] = set()
        while wait(answers, timeout=0.05).not_done:
            new |= {process.pid for process in server.engines()} - known
        assert {answer.result() for answer in answers} == {TWIN}
    new |= {process.pid for process in server.engines()} - known
    assert len(new) == 1
