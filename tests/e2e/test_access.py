"""Keys, limits, usage, metrics and logs of a whole server that others may reach, with two gateway
processes and a fake model."""

from __future__ import annotations

import json
import os
import re
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from tests.e2e.server import END_S, PROJECT, QUIET_THREADS, START_S, Server, events, running, user
from tests.polling import wait_until

pytestmark = pytest.mark.timeout(120)
LEAVES_ROOM = True

CONFIG: dict[str, Any] = {
    "models": {
        "echo": {"engine": "fake", "engine_args": {"answer": "tick " * 40}},
        "other": {"engine": "fake"},
    },
    "workers": 2,
}
MADE = re.compile(r"sk-tricorn-[\w-]{43}")
LIMIT = 5
SENT = 12


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    settings = {"host": "0.0.0.0", "default_model": "echo", "mode": "prod"}
    with running(ready=False, config=json.dumps(CONFIG), **settings) as found:
        wait_until(lambda: is_ready(found), START_S)
        yield found


def is_ready(server: Server) -> bool:
    assert server.process.poll() is None, server.output()
    try:
        return get(server, "/ready", admin_key(server)).status_code == 200
    except httpx.TransportError:
        return False


def admin_key(server: Server) -> str | None:
    """The one that was made at the first start, once it is there."""
    path = server.folder / "data" / "admin-key"
    return path.read_text().strip() if path.exists() else None


def tricorn(server: Server, *flags: str) -> str:
    """What the command says."""
    places = {"data_dir": "data", "log_dir": "logs", "model_base_path": "models"}
    settings = {name.upper(): str(server.folder / place) for name, place in places.items()}
    done = subprocess.run(
        [sys.executable, "-m", "tricorn.cli", *flags],
        cwd=PROJECT,
        env=os.environ | QUIET_THREADS | settings | {"PORT": str(server.port)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def key(server: Server, **terms: Any) -> dict[str, Any]:
    """A new one; it holds in every gateway process within a second."""
    headers = {"x-api-key": str(admin_key(server))}
    answer = httpx.post(f"{server.url}/admin/keys", json={"name": "a", **terms}, headers=headers)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    wait_until(lambda: known(server, made["key"]))
    return made


def known(server: Server, text: str) -> bool:
    """To every gateway process, as far as several connections can tell."""
    return all(get(server, "/v1/none", text).status_code != 401 for _ in range(8))


def get(server: Server, path: str, text: str | None = None, /, **query: Any) -> httpx.Response:
    """text: the key."""
    headers = {} if text is None else {"Authorization": f"Bearer {text}"}
    return httpx.get(f"{server.url}{path}", params=query, headers=headers, timeout=END_S)


def chat(server: Server, key: str, **more: Any) -> httpx.Response:
    """By a connection of its own, which either gateway process may get."""
    body = {"model": "echo", "messages": user("Hello!"), "max_tokens": 30, **more}
    url = f"{server.url}/v1/chat/completions"
    return httpx.post(url, json=body, headers={"x-api-key": key}, timeout=END_S)


def usage_of(answer: httpx.Response) -> dict[str, int]:
    """Of a whole answer, or of a stream's last chunk."""
    if not answer.headers["Content-Type"].startswith("text/event-stream"):
        return dict(answer.json()["usage"])
    *_, last, done = events(answer)
    assert done == "[DONE]"
    assert isinstance(last, dict)
    return dict(last["usage"])


def metrics(server: Server, name: str, *labels: str) -> float:
    """The sum of all samples with these labels."""
    text = get(server, "/metrics", admin_key(server)).text
    samples = (line.rpartition(" ") for line in text.splitlines() if line.startswith(name + "{"))
    return sum(float(value) for sample, _, value in samples if all(one in sample for one in labels))


def test_the_first_key(server: Server) -> None:
    """Printed once and kept; nothing but /health goes without one."""
    found = MADE.findall(server.output())
    kept = server.folder / "data" / "admin-key"
    assert found == [admin_key(server)]
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert get(server, "/health").status_code == 200
    for path in ("/", "/ready", "/v1/models", "/metrics", "/docs", "/openapi.json", "/nowhere"):
        answer = get(server, path)
        assert answer.status_code == 401, path
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    told = tricorn(server, "models", "ls")
    assert "echo" in told, "commands on this machine take the key that was made"
    assert "READY" in told


def test_what_a_key_may_not(server: Server) -> None:
    """Other permissions and other models; each family says so in its own way."""
    text = key(server, permissions=["chat"], models=["ec*"])["key"]
    assert chat(server, text).status_code == 200
    refused = chat(server, text, model="other")
    assert (refused.status_code, refused.json()["error"]["param"]) == (403, "model")
    for path in ("/v1/models", "/metrics", "/admin/keys", "/v1/logs/recent"):
        assert get(server, path, text).status_code == 403
    headers = {"x-api-key": text}
    body = {"model": "other", "messages": user("a"), "max_tokens": 1}
    answer = httpx.post(f"{server.url}/v1/messages", json=body, headers=headers)
    assert (answer.status_code, answer.json()["error"]["type"]) == (403, "permission_error")
    answer = httpx.post(f"{server.url}/api/chat", json=body, headers=headers)
    assert answer.status_code == 403
    assert isinstance(answer.json()["error"], str)


def test_limits_are_exact_and_all_is_counted_once(server: Server) -> None:
    """Over both gateway processes; what answers say was used is what the key is charged for."""
    limits = ["--requests-per-minute", str(LIMIT), "--tokens-per-minute", "100000"]
    made = json.loads(tricorn(server, "keys", "create", "ann", "--json", *limits))
    wait_until(lambda: known(server, made["key"]))
    before = metrics(server, "tricorn_generation_tokens_total", 'model_name="echo"')
    rejected = 'reason="rate_limit_exceeded"'
    streams = {"stream": True, "stream_options": {"include_usage": True}}
    with ThreadPoolExecutor(SENT) as pool:
        asked = [pool.submit(chat, server, made["key"], **(streams if n % 2 else {}))
                 for n in range(SENT)]  # fmt: skip
        answers = [one.result() for one in asked]
    good = [one for one in answers if one.status_code == 200]
    assert len(good) == LIMIT
    assert all(one.headers["x-ratelimit-limit-requests"] == str(LIMIT) for one in answers)
    assert min(int(one.headers["x-ratelimit-remaining-requests"]) for one in good) == 0
    for one in answers:
        if one not in good:
            assert (one.status_code, one.json()["error"]["code"]) == (429, "rate_limit_exceeded")
            assert 1 <= int(one.headers["Retry-After"]) <= 60 / LIMIT

    told = [usage_of(one) for one in good]
    names = ("prompt_tokens", "completion_tokens")
    expected = {"requests": LIMIT} | {name: sum(one[name] for one in told) for name in names}

    def charged() -> dict[str, Any]:
        answer = get(server, "/admin/usage", admin_key(server), key=made["id"])
        return dict(answer.json()["total"])

    wait_until(lambda: charged()["requests"] == LIMIT)
    assert charged().items() >= expected.items()
    by_command = json.loads(tricorn(server, "usage", "--json", "--key", made["id"]))
    assert by_command["total"] == charged()

    def generated() -> float:
        return metrics(server, "tricorn_generation_tokens_total", 'model_name="echo"') - before

    wait_until(lambda: metrics(server, "tricorn_admission_rejections_total", rejected) > 0)
    wait_until(lambda: generated() >= expected["completion_tokens"])
    assert generated() == expected["completion_tokens"]
    assert metrics(server, "tricorn_admission_rejections_total", rejected) == SENT - LIMIT

    lines = get(server, "/v1/logs/recent", admin_key(server), model="echo").json()["data"]
    mine = [line for line in lines if line.get("key") == made["id"] and line["status"] == 200]
    assert len(mine) == LIMIT
    for line in mine:
        assert line.keys() >= {
            "request_id", "key", "model", "replica", "status", "queue_s", "prefill_s", "decode_s",
            "prompt_tokens", "completion_tokens", "tokens_per_second", "finish_reason",
        }  # fmt: skip
    ids = {one.headers["x-request-id"] for one in answers}
    shown = tricorn(server, "logs", "--json", "-n", "1000").splitlines()
    found = [line for line in map(json.loads, shown) if line.get("request_id") in ids]
    assert len(found) == SENT, "one line for each, refused or not"


def test_a_revoked_key_is_refused_by_all(server: Server) -> None:
    """Within a second, by every gateway process."""
    made = key(server)
    tricorn(server, "keys", "revoke", made["id"])

    def refused() -> bool:
        return all(get(server, "/v1/models", made["key"]).status_code == 401 for _ in range(8))

    wait_until(refused)


def test_secrets_are_nowhere(server: Server) -> None:
    """Of all keys that were made here: neither in logs, nor in figures, nor in lists of processes;
    and of what requests said there is nothing either."""
    text = key(server, permissions=["chat"])["key"]
    chat(server, text, messages=user("a confidential prompt"))
    get(server, "/v1/models", "sk-wrong-confidential")
    get(server, f"/v1/models?api_key={text}")
    for broken in (f"GET /?api_key={text} 1.1\r\n", f"GET / HTTP/1.1\r\nAuthorization {text}\r\n"):
        with socket.create_connection(("127.0.0.1", server.port), timeout=END_S) as connection:
            connection.sendall(f"{broken}\r\n".encode())
            assert b" 400 " in connection.recv(4096)
    admin = admin_key(server)
    assert admin is not None
    lines = (server.folder / "logs" / "tricorn.log").read_text
    wait_until(lambda: lines().count("not a request") == 2)
    shown = server.output().replace(admin, "", 1)
    shown += "".join(log.read_text() for log in (server.folder / "logs").rglob("*.log"))
    shown += get(server, "/metrics", admin).text + get(server, "/v1/logs/recent", admin).text
    shown += get(server, "/admin/keys", admin).text
    shown += "".join(" ".join(one.cmdline()) for one in [*server.processes(), server.process])
    assert "wrong API key" in shown
    assert "confidential" not in shown
    assert MADE.findall(shown) == []
