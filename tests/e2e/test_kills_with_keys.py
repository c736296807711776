"""Processes that are killed, and a store that fails, while keys and their limits are in force."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from tests.e2e.server import END_S, Server, events, is_alive, running, user
from tests.polling import wait_until

from tricorn.access.terms import Terms
from tricorn.storage.keys import FILE, KeyStore

pytestmark = pytest.mark.timeout(180)
LEAVES_ROOM = True

ANSWER = 400
"""Tokens, of which each takes a while."""
PER_MINUTE = 10_000


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    arguments = {"answer": "tick ", "endless": True, "token_delay_s": 0.01}
    config = yaml.safe_dump({"models": {"a": {"engine": "fake", "engine_args": arguments}}})
    with running(config=config, default_model="a", mode="prod", workers=1) as found:
        yield found


class Key:
    """A new one, and what its holder does."""

    def __init__(self, server: Server, **terms: Any) -> None:
        self._server = server
        self.folder = server.folder / "data"
        store = KeyStore(self.folder)
        made, self.text = store.create("somebody", Terms(**terms))
        store.close()
        self.id = made.id
        wait_until(self._is_known, END_S)

    def _is_known(self) -> bool:
        """It may not look there; one that nobody knows is no key."""
        headers = {"Authorization": f"Bearer {self.text}"}
        return httpx.get(f"{self._server.url}/admin/usage", headers=headers).status_code == 403

    def ask(self, max_tokens: int = 1) -> httpx.Response:
        with httpx.Client(timeout=END_S) as client:
            return client.send(self._request(client, max_tokens, stream=False))

    def answers(self) -> bool:
        with contextlib.suppress(httpx.TransportError):
            return self.ask().status_code == 200
        return False

    @contextlib.contextmanager
    def stream(self) -> Iterator[Iterator[Any]]:
        """One that has begun: two of its events have come."""
        with httpx.Client(timeout=END_S) as client:
            response = client.send(self._request(client, ANSWER, stream=True), stream=True)
            assert response.status_code == 200, response.read()
            found = events(response)
            next(found)
            next(found)
            yield found
            response.close()

    def used(self) -> tuple[int, int, int]:
        """Requests, tokens of prompts and of answers, as they are stored."""
        store = KeyStore(self.folder)
        rows = store.usage("2000", key=self.id)
        store.close()
        counts = [(row.requests, row.prompt_tokens, row.completion_tokens) for row in rows]
        return counts[0] if counts else (0, 0, 0)

    def _request(self, client: httpx.Client, max_tokens: int, *, stream: bool) -> httpx.Request:
        body = {"model": "a", "messages": user("Go"), "max_tokens": max_tokens, "stream": stream}
        headers = {"Authorization": f"Bearer {self.text}"}
        return client.build_request(
            "POST", f"{self._server.url}/v1/chat/completions", json=body, headers=headers
        )


def remaining(answer: httpx.Response) -> int:
    return int(answer.headers["x-ratelimit-remaining-tokens"])


def test_a_gateway_is_killed(server: Server) -> None:
    """What its streams had reserved counts as used; their places are free at once."""
    key = Key(server, concurrent_requests=1, tokens_per_minute=PER_MINUTE)
    with key.stream() as stream:
        assert key.ask().status_code == 429
        gateway = server.gateway()
        gateway.kill()
        with pytest.raises(httpx.TransportError):
            list(stream)
    wait_until(key.answers, END_S)
    wait_until(lambda: key.used()[0] >= 2, END_S)
    requests, prompt, completion = key.used()
    assert ANSWER < prompt < ANSWER + 100 * requests, "that was reserved, and the small ones"
    assert completion == requests - 1
    left = remaining(key.ask())
    assert left < PER_MINUTE - ANSWER + PER_MINUTE // 10, "it fills, but not so soon"


def test_an_engine_is_killed(server: Server) -> None:
    """Of a stream that had begun counts what it gave; its place is free at once."""
    key = Key(server, concurrent_requests=1, tokens_per_minute=PER_MINUTE)
    with key.stream() as stream:
        server.engine().kill()
        *_, last = stream
    assert isinstance(last, dict)
    assert last["error"]["code"] == "engine_lost"
    wait_until(key.answers, END_S)
    wait_until(lambda: key.used()[0] >= 1, END_S)
    requests, _, completion = key.used()
    assert requests <= completion < ANSWER
    assert remaining(key.ask()) > PER_MINUTE - ANSWER, "what was reserved is back"


def test_a_manager_is_killed(server: Server) -> None:
    """Keys hold after the next start, and so does a budget that is used up; of the usage nothing
    is gone that is older than a second."""
    free, spent = Key(server), Key(server, daily_tokens=20)
    wait_until(spent.answers, END_S)
    assert free.ask(5).status_code == 200
    while (refused := spent.ask(5)).status_code == 200:
        continue
    assert refused.json()["error"]["code"] == "insufficient_quota"
    wait_until(lambda: free.used()[0] == 1, END_S)
    before = spent.used()
    assert sum(before[1:]) >= 20
    children = server.processes()
    server.process.kill()
    server.process.wait(END_S)
    wait_until(lambda: not any(is_alive(process) for process in children), END_S)
    server.start()
    server.wait_ready()
    refused = spent.ask(5)
    assert refused.status_code == 429
    assert refused.json()["error"]["code"] == "insufficient_quota"
    assert (spent.used(), free.used()[0]) == (before, 1)
    assert free.ask().status_code == 200
    wait_until(lambda: free.used()[0] == 2, END_S)


def test_keys_are_damaged(server: Server, tmp_path: Path) -> None:
    """503 as long as nobody can be told from anybody, but for what runs already; with a backup in
    its place all goes on."""
    key = Key(server)
    wait_until(key.answers, END_S)
    path = key.folder / FILE
    backup, garbage = tmp_path / "backup", key.folder / "garbage"
    with contextlib.closing(sqlite3.connect(path)) as there:
        there.execute(f"VACUUM INTO '{backup}'")
    with key.stream() as stream:
        garbage.write_bytes(b"no database at all " * 300)
        os.replace(garbage, path)
        wait_until(lambda: key.ask().status_code == 503, END_S)
        error = key.ask().json()["error"]
        assert error["code"] == "storage_unavailable"
        assert "keys.db cannot be used" in error["message"]
        assert "backup" in error["message"]
        assert httpx.get(f"{server.url}/v1/models").status_code == 503
        assert httpx.get(f"{server.url}/health").status_code == 200
        *_, last = stream
    assert last == "[DONE]"
    assert list(key.folder.glob("*unusable*")) == []
    for beside in key.folder.glob(f"{FILE}-*"):
        beside.unlink()
    garbage.write_bytes(backup.read_bytes())
    os.replace(garbage, path)
    wait_until(key.answers, END_S)
