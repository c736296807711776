"""Processes that are killed while they work, and the orderly end."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import openai
import pytest
from tests.e2e.server import END_S, MODEL, Server, events, is_alive, running, user
from tests.polling import wait_until

pytestmark = pytest.mark.timeout(180)

LONG = {"max_tokens": 2000, "extra_body": {"ignore_eos": True}, "temperature": 0}
"""An answer that does not end by itself while a test looks at it."""


@contextlib.contextmanager
def long_stream(server: Server, max_tokens: int = 2000) -> Iterator[Iterator[Any]]:
    """A raw stream's events, the first one taken; it is left when the block ends."""
    body = {
        "model": MODEL,
        "messages": user("Tell me a story."),
        "stream": True,
        "max_tokens": max_tokens,
        "ignore_eos": True,
    }
    url = f"{server.url}/v1/chat/completions"
    with httpx.stream("POST", url, json=body, timeout=60.0) as response:
        assert response.status_code == 200
        stream = events(response)
        next(stream)
        yield stream


def ask(server: Server) -> str | None:
    """A short answer, over a connection of its own."""
    with server.sdk() as client:
        answer = client.chat.completions.create(
            model=MODEL, messages=user("Hello!"), max_tokens=4, temperature=0
        )
    return answer.choices[0].message.content


@pytest.fixture(scope="module", params=["unix", "tcp"])
def killable(request: pytest.FixtureRequest) -> Iterator[Server]:
    """One server a transport: what is killed in it comes back."""
    with running(transport=request.param, max_num_seqs=2) as found:
        yield found


def test_gateway_killed(killable: Server) -> None:
    """A gateway worker's death frees its sequences; another worker serves on, the model stays."""
    server = killable
    engine, gateway = server.engine(), server.gateway()
    with server.figures() as figures:
        with long_stream(server) as stream:
            assert figures().running == 1
            gateway.kill()
            with pytest.raises(httpx.RemoteProtocolError):
                list(stream)
        wait_until(lambda: figures().running == 0, END_S)
    wait_until(server.is_ready, END_S)
    assert ask(server)
    assert server.engine() == engine


def test_client_gone(killable: Server) -> None:
    """A client that hangs up stops its sequence."""
    with killable.figures() as figures:
        with long_stream(killable):
            assert figures().running == 1
        wait_until(lambda: figures().running == 0, END_S)


def test_engine_killed(killable: Server) -> None:
    """An engine's death ends streams with an error, never with [DONE]; the model comes back."""
    engine = killable.engine()
    with long_stream(killable) as stream:
        engine.kill()
        *_, last = stream
    assert isinstance(last, dict)
    assert last["error"]["code"] == "engine_lost"
    assert ask(killable)
    assert killable.engine() != engine


def test_engine_killed_under_whole_answer(killable: Server) -> None:
    """A request that had sent nothing is tried again on a new engine, and answers 200."""
    engine = killable.engine()
    with killable.figures() as figures, ThreadPoolExecutor(1) as threads:
        asked = threads.submit(
            killable.client.chat.completions.create,
            model=MODEL,
            messages=user("Tell me a story."),
            **(LONG | {"max_tokens": 150}),
        )
        wait_until(lambda: figures().running == 1)
        engine.kill()
        answer = asked.result(END_S * 3)
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 150
    assert "engine lost, trying again" in killable.output()


def test_sdk_sees_lost_engine(killable: Server) -> None:
    """OpenAI's client raises for the error event of a stream."""
    stream = killable.client.chat.completions.create(
        model=MODEL, messages=user("Tell me a story."), stream=True, **LONG
    )
    next(stream)
    killable.engine().kill()
    with pytest.raises(openai.APIError, match="engine"):
        list(stream)
    assert ask(killable)


@pytest.mark.parametrize("transport", ["unix", "tcp"])
def test_manager_killed(transport: str) -> None:
    """Gateway and engine end by themselves when the manager is killed, also mid-stream."""
    with running(transport=transport) as server, long_stream(server):
        children = server.processes()
        assert len(children) >= 3
        server.process.kill()
        wait_until(lambda: not any(is_alive(process) for process in children), END_S)


def test_manager_killed_beside_a_spare_worker() -> None:
    """So does a process that waits for a model."""
    with running(spare_workers=1) as server:
        wait_until(lambda: len(server.engines()) == 2, END_S)
        children = server.processes()
        server.process.kill()
        wait_until(lambda: not any(is_alive(process) for process in children), END_S)


def test_stop_lets_stream_finish() -> None:
    """SIGTERM: a stream that runs ends well, then everything is gone and the exit code is 0."""
    with running() as server:
        with long_stream(server, max_tokens=80) as stream:
            children = server.processes()
            server.process.send_signal(signal.SIGTERM)
            *_, last = stream
        assert last == "[DONE]"
        assert server.process.wait(END_S) == 0
        assert not any(is_alive(process) for process in children)
        assert not server.run_dir.exists()


def test_stop_with_idle_connections() -> None:
    """Clients that keep an idle connection open do not hold up the end."""
    with running(drain_timeout_s=600) as server:
        client = server.sdk()
        client.models.list()
        assert server.stop() == 0


def test_second_signal() -> None:
    """A second signal ends at once what a first one would wait for."""
    with running(drain_timeout_s=600) as server, long_stream(server):
        children = server.processes()

        def is_noticed() -> bool:
            # One that comes within half a second counts as the same wish.
            server.process.send_signal(signal.SIGTERM)
            return "a second signal" in server.output()

        wait_until(is_noticed, END_S)
        assert server.process.wait(END_S) == 130
        assert not any(is_alive(process) for process in children)
