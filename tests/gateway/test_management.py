"""Routes that manage models: what they order of the manager, and what they make of its answers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import msgspec
import pytest
from flask import Flask
from tests.gateway.engines import FakeManager

from tricorn.errors import Conflict, InstanceNotFound, ModelLoadFailed, ModelNotFound
from tricorn.manager import protocol as control
from tricorn.manager.protocol import Progress

STATUS = {"id": "a", "state": "READY"}


@pytest.fixture
def manager() -> Iterator[FakeManager]:
    """One of its own: orders are looked at."""
    fake = FakeManager({"org/a:Q4": {"answer": "Hi"}, "plain": {}})
    yield fake
    fake.close()


def events(response: httpx.Response) -> list[Any]:
    """Of a stream: JSON, or the text where it is none."""
    assert response.headers["Content-Type"].startswith("text/event-stream")
    lines = [line.removeprefix("data: ") for line in response.text.splitlines() if line]
    return [json.loads(line) if line.startswith("{") else line for line in lines]


# --- load -----------------------------------------------------------------------------------------


def test_load_waits(http: httpx.Client, manager: FakeManager) -> None:
    """The name and the options go to the manager; its status comes back."""
    manager.answers["load"] = STATUS
    body = {
        "model": "org/a:Q4",
        "model_path": "x.gguf",
        "engine": "llama.cpp",
        "engine_args": {"n_batch": 8},
        "keep_alive": "5m",
        "replicas": 2,
        "pinned": True,
    }
    answer = http.post("/v1/models/load", json=body)
    assert (answer.status_code, answer.json()) == (200, STATUS)
    [(command, arguments)] = manager.orders
    assert command == "load"
    assert arguments.pop("request_id").startswith("req_")
    assert arguments == {
        "model": "org/a:Q4",
        "settings": {
            "path": "x.gguf",
            "engine": "llamacpp",
            "engine_args": {"n_batch": 8},
            "ttl": 300.0,
            "replicas": 2,
            "pinned": True,
        },
        "reset": False,
        "wait": True,
    }


@pytest.mark.parametrize("how", [{"params": {"wait": "false"}}, {"json": {"wait": False}}])
def test_load_without_waiting(
    http: httpx.Client, manager: FakeManager, how: dict[str, Any]
) -> None:
    """202, and where it is told how it goes."""
    manager.answers["load"] = {"id": "org/a:Q4", "state": "LOADING"}
    how = how | {"json": {"model_name": "org/a:Q4"} | how.get("json", {})}
    answer = http.post("/v1/models/load", **how)
    assert answer.status_code == 202
    assert answer.headers["Location"] == "/v1/models/org/a:Q4/status"
    assert manager.orders[0][1]["wait"] is False
    assert manager.orders[0][1]["settings"] == {}


def test_load_does_not_stream_unasked(http: httpx.Client, manager: FakeManager) -> None:
    """Where both are welcome it answers at once."""
    manager.answers["load"] = STATUS
    for accept in ("*/*", "application/json, text/event-stream"):
        headers = {"Accept": accept}
        answer = http.post("/v1/models/load", json={"model": "plain"}, headers=headers)
        assert answer.json() == STATUS


@pytest.mark.parametrize(
    "how",
    [
        {"params": {"stream": "true"}},
        {"headers": {"Accept": "text/event-stream"}},
        {"body": {"stream": True}},
    ],
)
def test_load_streams(http: httpx.Client, manager: FakeManager, how: dict[str, Any]) -> None:
    """Each progress, the answer at the end; or the error that ends it."""
    half = Progress(1, "reading weights", 0.5, 2.0)
    manager.answers["load"] = [half, STATUS]
    body = {"model_name": "plain"} | how.pop("body", {})
    told = events(http.post("/v1/models/load", json=body, **how))
    assert told == [
        {"object": "progress", "status": "reading weights", "progress": 0.5, "eta_s": 2.0},
        STATUS,
        "[DONE]",
    ]
    manager.answers["load"] = [half, ModelLoadFailed("it is broken")]
    told = events(http.post("/v1/models/load", json=body, **how))
    assert told[1:] == [
        {
            "error": {
                "message": "it is broken",
                "type": "server_error",
                "param": None,
                "code": "model_load_failed",
            }
        }
    ]
    manager.answers["load"] = ModelLoadFailed("at once")
    assert http.post("/v1/models/load", json=body, **how).status_code == 503


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "model_name"),
        ({"model_name": "../a"}, "model_name"),
        ({"model_name": "a/../../b"}, "model_name"),
        ({"model_name": "/etc/passwd"}, "model_name"),
        ({"model_name": "a\nb"}, "model_name"),
        ({"model_name": "a\x00b"}, "model_name"),
        ({"model_name": "a" * 1000}, "model_name"),
        ({"model": "", "ttl": 1}, "model"),
        ({"model_name": 5}, "model_name"),
        ({"model_name": "a", "model_path": "x\x1b[2J"}, "model_path"),
        ({"model_name": "a", "model_path": "x" * 5000}, "model_path"),
        ({"model_name": "a", "engine_type": "torch"}, "engine_type"),
        ({"model_name": "a", "engine_args": []}, "engine_args"),
        ({"model_name": "a", "ttl": "soon"}, "ttl"),
        ({"model_name": "a", "replicas": 0}, "replicas"),
        ({"model_name": "a", "context_lenght": 64}, "context_lenght"),
        ({"model_name": "a", "env": {"LD_PRELOAD": "x"}}, "env"),
    ],
)
def test_bad_loads(
    http: httpx.Client, manager: FakeManager, body: dict[str, Any], param: str
) -> None:
    """400 that names the field; nothing is ordered. Also a field that nobody knows."""
    answer = http.post("/v1/models/load", json=body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)
    assert manager.orders == []


# --- one model ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["plain", "org/a:Q4", "a b/c@d"])
@pytest.mark.parametrize(
    ("method", "suffix", "command"),
    [
        ("DELETE", "/unload", "unload"),
        ("POST", "/unload", "unload"),
        ("GET", "/status", "status"),
        ("GET", "/status/", "status"),
        ("POST", "/retry", "retry"),
        ("DELETE", "", "delete"),
    ],
)
def test_names_in_paths(
    http: httpx.Client, manager: FakeManager, name: str, method: str, suffix: str, command: str
) -> None:
    """Slashes, colons and spaces are a part of the name."""
    manager.answers[command] = STATUS
    answer = http.request(method, f"/v1/models/{name}{suffix}")
    assert (answer.status_code, answer.json()) == (200, STATUS)
    assert (manager.orders[0][0], manager.orders[0][1]["model"]) == (command, name)


@pytest.mark.parametrize("name", ["..%2Fa", "a%2F..%2F..%2Fb", "a%1Bb", "a%00", "a" * 500])
@pytest.mark.parametrize("suffix", ["/status", "/unload", ""])
def test_bad_names_in_paths(
    http: httpx.Client, manager: FakeManager, name: str, suffix: str
) -> None:
    """400, and nothing is ordered."""
    method = "GET" if suffix == "/status" else "DELETE"
    answer = http.request(method, f"/v1/models/{name}{suffix}")
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "model")
    assert http.request(method, f"/v1/models/%2Fetc%2Fpasswd{suffix}").status_code == 404
    assert manager.orders == []


def test_status_has_the_capabilities(http: httpx.Client, manager: FakeManager) -> None:
    """Of the model that is meant, which may have been named by an alias; unless it says no."""
    manager.answers["status"] = {"id": "plain", "state": "UNLOADED"}
    told = http.get("/v1/models/other-name/status").json()["capabilities"]
    assert told == http.get("/v1/models/plain/capabilities").json()
    short = http.get("/v1/models/plain/status?capabilities=false").json()
    assert short == {"id": "plain", "state": "UNLOADED"}


def test_force(http: httpx.Client, manager: FakeManager) -> None:
    """Only when it is asked for; a refusal keeps its status."""
    manager.answers["unload"] = STATUS
    http.delete("/v1/models/plain/unload")
    http.delete("/v1/models/plain/unload?force=true")
    assert [arguments["force"] for _, arguments in manager.orders] == [False, True]
    assert http.delete("/v1/models/plain/unload?force=maybe").json()["error"]["param"] == "force"
    manager.answers["unload"] = Conflict("it is pinned")
    assert http.delete("/v1/models/plain/unload").status_code == 409


def test_exact_ids_win(make_app: Callable[..., Flask]) -> None:
    """A model whose id ends as a route does is reached by its id; what cannot be undone, only where
    no other model is meant."""
    own = FakeManager({"a/status": {}, "b": {}, "b/unload": {}, "c/unload": {}, "pull": {}})
    own.answers = {"unload": STATUS, "delete": STATUS}
    http = make_app(own).test_client()
    assert http.get("/v1/models/a/status").get_json()["id"] == "a/status"
    assert http.get("/v1/models/pull").get_json()["id"] == "pull"
    http.delete("/v1/models/b/unload")
    http.delete("/v1/models/c/unload")
    assert [(name, arguments["model"]) for name, arguments in own.orders] == [
        ("unload", "b"),
        ("delete", "c/unload"),
    ]


def test_reload(http: httpx.Client, manager: FakeManager) -> None:
    manager.answers["reload"] = {"changed": ["ttl"]}
    assert http.post("/v1/admin/reload").json() == {"changed": ["ttl"]}


# --- downloads ------------------------------------------------------------------------------------


def test_pull(http: httpx.Client, manager: FakeManager) -> None:
    """Waited for, begun, streamed, listed, looked at and cancelled."""
    done = {"object": "model.download", "name": "org/m:Q4", "state": "done"}
    manager.answers |= {"pull": done, "pulls": {"data": [done]}, "pull.state": done}
    manager.answers["pull.cancel"] = {"cancelled": True}
    assert http.post("/v1/models/pull", json={"model": "org/m:Q4"}).json() == done
    begun = http.post("/v1/models/pull?wait=false", json={"name": "org/m:Q4"})
    assert begun.status_code == 202
    assert begun.headers["Location"] == "/v1/models/pull/org/m:Q4"
    assert http.get("/v1/models/pull").json() == {"data": [done]}
    assert http.get(begun.headers["Location"]).json() == done
    assert http.delete(begun.headers["Location"]).json() == {"cancelled": True}
    assert [arguments.get("model") for _, arguments in manager.orders] == [
        "org/m:Q4", "org/m:Q4", None, "org/m:Q4", "org/m:Q4",
    ]  # fmt: skip
    state = done | {"state": "downloading", "completed_bytes": 5}
    manager.answers["pull"] = [Progress(1, "downloading", 0.5, None, state), done]
    told = events(http.post("/v1/models/pull", json={"model": "org/m:Q4", "stream": True}))
    assert told[0]["completed_bytes"] == 5
    assert told[1:] == [done, "[DONE]"]


def test_ollama_pull(http: httpx.Client, manager: FakeManager) -> None:
    """In Ollama's words: a line for what happens to each file, `success` at the end."""
    states: list[dict[str, Any]] = [
        {"state": "starting", "digest": None},
        {
            "state": "downloading",
            "digest": "sha256:0123456789abcdef",
            "file_total_bytes": 10,
            "file_completed_bytes": 4,
        },
        {"state": "verifying", "digest": None},
    ]
    told = [Progress(1, "", None, None, state) for state in states]
    manager.answers["pull"] = [*told, {"state": "done"}]
    answer = http.post("/api/pull", json={"model": "org/m:latest"})
    assert answer.headers["Content-Type"] == "application/x-ndjson"
    assert [json.loads(line) for line in answer.text.splitlines()] == [
        {"status": "pulling manifest"},
        {
            "status": "pulling 0123456789ab",
            "digest": "sha256:0123456789abcdef",
            "total": 10,
            "completed": 4,
        },
        {"status": "verifying sha256 digest"},
        {"status": "success"},
    ]
    assert manager.orders == [("pull", {"model": "org/m"})]
    whole = http.post("/api/pull", json={"model": "org/m", "stream": False})
    assert whole.json() == {"status": "success"}
    manager.answers["pull"] = [*told, ModelNotFound("the hub has no org/m")]
    lines = http.post("/api/pull", json={"model": "org/m"}).text.splitlines()
    assert json.loads(lines[-1]) == {"error": "the hub has no org/m"}


def test_ollama_delete(http: httpx.Client, manager: FakeManager) -> None:
    manager.answers["delete"] = {"deleted": True}
    answer = http.request("DELETE", "/api/delete", json={"model": "plain:latest"})
    assert (answer.status_code, answer.content) == (200, b"")
    assert manager.orders == [("delete", {"model": "plain"})]


# --- pages in browsers ----------------------------------------------------------------------------

MANAGING = [
    ("POST", "/v1/models/load"),
    ("DELETE", "/v1/models/plain/unload"),
    ("POST", "/v1/models/plain/unload"),
    ("DELETE", "/v1/models/plain"),
    ("POST", "/v1/models/pull"),
    ("POST", "/v1/admin/reload"),
    ("POST", "/instances"),
    ("DELETE", "/instances/x"),
    ("POST", "/api/pull"),
    ("DELETE", "/api/delete"),
]


@pytest.mark.parametrize(("method", "path"), MANAGING)
def test_pages_of_others_do_not_manage(
    http: httpx.Client, manager: FakeManager, method: str, path: str
) -> None:
    """403 for any other origin, although any may use models; nothing lets it read the answer."""
    for origin in ("https://evil.example", "null", "http://localhost:9999", "http://[bad"):
        headers = {"Origin": origin}
        answer = http.request(method, path, headers=headers, json={"model": "plain"})
        assert answer.status_code == 403
        assert "Access-Control-Allow-Origin" not in answer.headers
        ask = headers | {"Access-Control-Request-Method": method}
        preflight = http.options(path, headers=ask)
        assert "Access-Control-Allow-Origin" not in preflight.headers
    assert manager.orders == []


@pytest.mark.parametrize("path", ["/v1/events", "/v1/system/metrics", "/instances"])
def test_pages_of_others_do_not_read(http: httpx.Client, manager: FakeManager, path: str) -> None:
    manager.answers |= {"system": {}, "instances.list": {}}
    with http.stream("GET", path, headers={"Origin": "https://evil.example"}) as answer:
        assert "Access-Control-Allow-Origin" not in answer.headers


@pytest.mark.parametrize(
    ("origin", "host", "listens_on", "status"),
    [
        ("http://127.0.0.1:8000", "127.0.0.1:8000", "127.0.0.1", 200),
        ("http://localhost:8000", "localhost:8000", "127.0.0.1", 200),
        ("http://[::1]:8000", "[::1]:8000", "::1", 200),
        ("http://gpu.lan:8000", "gpu.lan:8000", "0.0.0.0", 200),
        ("https://a.example", "127.0.0.1:8000", "127.0.0.1", 200),
        # Another port is another server, and a name of loopback may have been given by anybody.
        ("http://localhost:3000", "localhost:8000", "127.0.0.1", 403),
        ("http://evil.example:8000", "evil.example:8000", "127.0.0.1", 403),
        ("http://evil.example", "gpu.lan:8000", "0.0.0.0", 403),
    ],
)
def test_our_own_pages_manage(
    make_app: Callable[..., Flask],
    manager: FakeManager,
    origin: str,
    host: str,
    listens_on: str,
    status: int,
) -> None:
    """Those of the server itself, and those that CORS_ORIGINS names."""
    manager.answers["unload"] = STATUS
    app = make_app(manager, host=listens_on, auth="off", cors_origins=["https://a.example", "*"])
    headers = {"Origin": origin, "Host": host}
    answer = app.test_client().delete("/v1/models/plain/unload", headers=headers)
    assert answer.status_code == status
    named = origin == "https://a.example"
    assert ("Access-Control-Allow-Origin" in answer.headers) == named


def test_preflight_of_a_named_origin(make_app: Callable[..., Flask], manager: FakeManager) -> None:
    """It may DELETE too."""
    http = make_app(manager, cors_origins=["https://a.example"]).test_client()
    ask = {"Origin": "https://a.example", "Access-Control-Request-Method": "DELETE"}
    answer = http.options("/v1/models/org/a:Q4/unload", headers=ask)
    assert answer.status_code == 204
    assert "DELETE" in answer.headers["Access-Control-Allow-Methods"]


# --- instances ------------------------------------------------------------------------------------


def test_instances(http: httpx.Client, manager: FakeManager) -> None:
    made = {"id": "x", "model": "plain", "model_id": "plain@x"}
    manager.answers |= {
        "instances.create": made,
        "instances.list": {"data": [made]},
        "instances.get": made,
        "instances.delete": {"deleted": True},
    }
    body = {"model_name": "plain", "params": {"n_batch": 1}, "ttl": "never", "name": "x"}
    answer = http.post("/instances", json=body)
    assert (answer.status_code, answer.json()) == (201, made)
    assert http.post("/instances?wait=false", json=body).status_code == 202
    assert http.get("/instances").json() == {"data": [made]}
    assert http.get("/instances/x").json() == made
    assert http.delete("/instances/x").json() == {"deleted": True}
    assert manager.orders[0] == (
        "instances.create",
        {"model": "plain", "params": {"n_batch": 1}, "ttl": -1.0, "name": "x", "wait": True},
    )
    assert [arguments for _, arguments in manager.orders[3:]] == [{"id": "x"}, {"id": "x"}]
    assert http.post("/instances", json={"model": "a", "params": 5}).status_code == 400


class WithInstance(FakeManager):
    """Serves "plain", and "plain@x", an instance of it."""

    def __init__(self) -> None:
        super().__init__({"plain": {}, "plain@x": {"answer": "I am x"}, "plain@x:ad": {}})
        self.leased_as: list[str] = []

    def _info(self, name: str) -> control.ModelInfo:
        info = super()._info(name)
        if name == "plain":
            return info
        parent = "plain@x" if name.endswith(":ad") else None
        return msgspec.structs.replace(info, instance_of="plain", parent=parent)

    def acquire(self, model: str, *arguments: Any, **options: Any) -> int:
        self.leased_as.append(model)
        return super().acquire(model, *arguments, **options)


@pytest.fixture
def pinned(make_app: Callable[..., Flask]) -> Iterator[tuple[httpx.Client, WithInstance]]:
    fake = WithInstance()
    transport = httpx.WSGITransport(app=make_app(fake))  # type: ignore[arg-type]
    with httpx.Client(transport=transport, base_url="http://tricorn") as http:
        yield http, fake
    fake.close()


@pytest.mark.parametrize(
    ("body", "named", "asked"),
    [
        ({}, "plain", "plain@x"),
        ({"model": "plain"}, "plain", "plain@x"),
        ({"model": "gpt-4o"}, "gpt-4o", "plain@x"),
        ({"model": "plain:ad"}, "plain:ad", "plain@x:ad"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_proxy_pins_the_model(
    pinned: tuple[httpx.Client, WithInstance],
    body: dict[str, Any],
    named: str,
    asked: str,
    stream: bool,
) -> None:
    """Whatever the body names; the answer has the client's name for it, streamed or whole."""
    http, fake = pinned
    sent = body | {"messages": [{"role": "user", "content": "Hi"}], "stream": stream}
    answer = http.post("/proxy/x/v1/chat/completions", json=sent)
    assert answer.status_code == 200
    assert fake.leased_as == [asked]
    if stream:
        chunks = [one for one in events(answer) if isinstance(one, dict)]
        assert {chunk["model"] for chunk in chunks} == {named}
        pieces = [chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks]
        text = "".join(pieces)
    else:
        assert answer.json()["model"] == named
        text = answer.json()["choices"][0]["message"]["content"]
    assert (text == "I am x") == (asked == "plain@x")


def test_proxy_unloads_the_instance(pinned: tuple[httpx.Client, WithInstance]) -> None:
    """By Ollama's way to say so; not the model whose files it has."""
    http, fake = pinned
    fake.answers["unload"] = {}
    answer = http.post("/proxy/x/api/generate", json={"keep_alive": 0, "model": "plain"})
    assert answer.json()["done_reason"] == "unload"
    assert fake.orders[-1] == ("unload", {"model": "plain@x"})


@pytest.mark.parametrize("path", ["/v1/completions", "/api/generate", "/v1/messages"])
def test_proxy_has_every_family(pinned: tuple[httpx.Client, WithInstance], path: str) -> None:
    """Each in its own shape."""
    http, fake = pinned
    body = {"prompt": "a", "messages": [{"role": "user", "content": "a"}], "max_tokens": 4}
    if path == "/api/generate":
        body = {"prompt": "a", "stream": False}
    answer = http.post(f"/proxy/x{path}", json=body)
    assert answer.status_code == 200, answer.text
    assert answer.json()["model"] == "plain"
    assert fake.leased_as == ["plain@x"]


def test_proxy_sees_its_instance_only(pinned: tuple[httpx.Client, WithInstance]) -> None:
    """Under its model's name; the list of all models has no instances."""
    http, _ = pinned
    listed = [model["id"] for model in http.get("/proxy/x/v1/models").json()["data"]]
    assert listed == ["plain", "plain:ad"]
    assert http.get("/proxy/x/v1/models/plain").status_code == 200
    assert [model["id"] for model in http.get("/v1/models").json()["data"]] == ["plain"]
    assert http.get("/v1/models/plain@x").status_code == 404


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/models/load"),
        ("DELETE", "/v1/models/plain/unload"),
        ("GET", "/instances"),
        ("GET", "/v1/system/metrics"),
        ("GET", "/proxy/x/v1/models"),
        ("GET", "/health"),
        ("GET", "/nothing"),
    ],
)
def test_proxy_does_not_manage(
    pinned: tuple[httpx.Client, WithInstance], method: str, path: str
) -> None:
    http, fake = pinned
    assert http.request(method, f"/proxy/x{path}", json={}).status_code == 404
    assert fake.orders == []


def test_proxy_of_an_instance_that_is_not_known_here(
    pinned: tuple[httpx.Client, WithInstance],
) -> None:
    """The manager is asked: it may have been made a moment ago."""
    http, fake = pinned
    fake.answers["instances.get"] = InstanceNotFound("There is no instance 'y'.")
    answer = http.get("/proxy/y/v1/models")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "instance_not_found")
    fake.answers["instances.get"] = {"model_id": "plain@x", "model": "plain"}
    body = {"messages": [{"role": "user", "content": "a"}]}
    assert "I am x" in http.post("/proxy/y/v1/chat/completions", json=body).text
