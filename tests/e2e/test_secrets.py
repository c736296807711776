"""No secret and no prompt in anything that a server writes, answers or shows to other users."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.e2e.server import START_S, Server, running
from tests.polling import wait_until

pytestmark = [pytest.mark.timeout(120)]
LEAVES_ROOM = True

STATIC = "sk-static-7f3a9c51d2e84b06"
JWT_SECRET = "jwt-signing-5b1e77c09a4d4c3f8e21d6a0"
HUB = "hf_hubtoken4c8d1e90b7"
WRONG = "sk-wrong-d90e44ab1c7f"
PROMPT = "my-medical-record-83c1f0"
PROXY = "proxy-password-1b2c3d"
CONFIG = {
    "models": {
        "echo": {"engine": "fake", "engine_args": {"answer": "tick tock"}},
        "broken": {"engine": "fake", "engine_args": {"load_error": "it is broken"}},
    }
}
WAYS: list[dict[str, Any]] = [
    {"headers": {"Authorization": "Bearer {}"}},
    {"headers": {"Authorization": "{}"}},
    {"headers": {"Authorization": "Basic {}"}},
    {"headers": {"x-api-key": "{}"}},
    {"headers": {"api-key": "{}"}},
    {"params": {"api_key": "{}"}},
    {"headers": {"Cookie": "session={}"}},
]


def signed() -> str:
    """A JWT of somebody's, that holds."""
    claims = {"sub": "ann", "exp": int(time.time()) + 600, "permissions": ["all"]}
    parts = [json.dumps(one).encode() for one in ({"alg": "HS256", "typ": "JWT"}, claims)]
    text = b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in parts)
    mark = hmac.digest(JWT_SECRET.encode(), text, hashlib.sha256)
    return (text + b"." + base64.urlsafe_b64encode(mark).rstrip(b"=")).decode()


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    settings = {
        "api_keys": STATIC,
        "jwt_secret": JWT_SECRET,
        "hf_token": HUB,
        "https_proxy": f"http://user:{PROXY}@127.0.0.1:9",
        "api_key_in_query": True,
        "log_level": "DEBUG",
        "default_model": "echo",
        "mode": "prod",
    }
    with running(ready=False, config=json.dumps(CONFIG), **settings) as found:
        wait_until(lambda: is_ready(found), START_S)
        yield found


def is_ready(server: Server) -> bool:
    assert server.process.poll() is None, server.output()
    try:
        return httpx.get(f"{server.url}/ready", headers=bearer(STATIC)).status_code == 200
    except httpx.TransportError:
        return False


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def filled(way: dict[str, Any], key: str) -> dict[str, Any]:
    return {
        kind: {name: value.format(key) for name, value in given.items()}
        for kind, given in way.items()
    }


def use(server: Server, keys: list[str]) -> list[bytes]:
    """Requests of every kind, right and wrong ones; what was answered."""
    chat = {"model": "echo", "messages": [{"role": "user", "content": PROMPT}]}
    bodies: list[Any] = [
        chat,
        chat | {"stream": True},
        chat | {"model": "broken"},
        chat | {"temperature": "hot"},
        chat | {"guided_regex": "("},
    ]
    said: list[bytes] = []
    with httpx.Client(base_url=server.url, timeout=30) as client:
        for key in keys:
            for way in WAYS:
                answer = client.post("/v1/chat/completions", json=chat, **filled(way, key))
                said += [answer.content, repr(answer.headers).encode()]
            for body in bodies:
                said.append(client.post("/v1/completions", json=body, headers=bearer(key)).content)
                answer = client.post("/v1/chat/completions", json=body, headers=bearer(key))
                said.append(answer.content)
            raw = b'{"messages": "' + PROMPT.encode() + b'"'
            said.append(client.post("/v1/responses", content=raw, headers=bearer(key)).content)
    return said


def shown(server: Server) -> dict[str, bytes]:
    """What the server tells of itself, to those who may ask."""
    paths = ["/metrics", "/v1/logs/recent?limit=1000", "/v1/system/metrics", "/v1/system/info"]
    paths += ["/v1/system/hardware", "/v1/models", "/admin/keys", "/admin/usage", "/openapi.json"]
    with httpx.Client(base_url=server.url, headers=bearer(STATIC)) as client:
        return {path: client.get(path).content for path in paths}


def written(server: Server) -> dict[str, bytes]:
    """Logs, what was printed, and all that outlives the start."""
    files = [path for path in server.folder.rglob("*") if path.is_file()]
    kept = {"logs", "data"}
    return {
        str(path.relative_to(server.folder)): path.read_bytes()
        for path in files
        if path.name == "output.txt" or kept & set(path.relative_to(server.folder).parts)
    }


def lists_of_processes(server: Server) -> dict[str, bytes]:
    """What `ps` shows to every user of the machine."""
    return {
        f"command line of {process.pid}": "\0".join(process.cmdline()).encode()
        for process in [server.process, *server.processes()]
    }


def test_nothing_secret_is_told(server: Server) -> None:
    """Keys that hold and keys that do not, wherever they were sent, and prompts."""
    made = httpx.post(
        f"{server.url}/admin/keys", json={"name": "ann"}, headers=bearer(STATIC)
    ).json()
    token = signed()
    keys = [STATIC, made["key"], token, WRONG]
    said = use(server, keys)
    wait_until(lambda: b"/v1/responses" in everything(server), 20)
    secrets = [STATIC, JWT_SECRET, HUB, PROXY, made["key"], token, token.rsplit(".", 1)[1], WRONG]
    places = {
        **{f"answer {number}": content for number, content in enumerate(said)},
        **shown(server),
        **written(server),
        **lists_of_processes(server),
    }
    assert len(places) > 100
    for place, content in places.items():
        for secret in secrets:
            assert secret.encode() not in content, (secret, place)
        # A refused prompt may be quoted to the one who sent it.
        assert place.startswith("answer") or PROMPT.encode() not in content, place
    assert any(b"tick tock" in content for content in said)


def everything(server: Server) -> bytes:
    return b"".join(written(server).values())


def test_engines_have_no_secrets(server: Server) -> None:
    """In their environments, which whatever runs in an engine can read."""
    engines = server.engines()
    assert engines
    for process in engines:
        environment = Path(f"/proc/{process.pid}/environ").read_bytes()
        for secret in (STATIC, JWT_SECRET, HUB):
            assert secret.encode() not in environment


def test_what_is_kept_is_for_its_user_only(server: Server) -> None:
    """Keys, usage and the secret that keys are kept by."""
    for path in (server.folder / "data").iterdir():
        assert path.stat().st_mode & 0o077 == 0, path
