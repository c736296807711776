"""Who may do what, by the routes: in the open, and where keys are needed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
from flask import Flask
from flask.testing import FlaskClient
from tests.gateway.engines import FakeManager

from tricorn.access import jwt
from tricorn.access.rate import Rate
from tricorn.access.terms import Terms
from tricorn.access.throttle import FAILURES_PER_MINUTE
from tricorn.chat.chat_completion import ChatCompletion
from tricorn.chat.reasoning import FIELDS
from tricorn.errors import ModelNotFound, RateLimitExceeded
from tricorn.gateway.guard import requirements
from tricorn.gateway.routes import chat
from tricorn.gateway.services import EXTENSION, Services
from tricorn.manager import protocol as control

JWT_SECRET = "s" * 32
STATUS = {"id": "plain", "state": "READY"}
CHAT = {"model": "plain", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 4}


@pytest.fixture(scope="module")
def manager() -> Iterator[FakeManager]:
    fake = FakeManager({"plain": {"answer": "Hello"}, "other": {}})
    fake.answers |= {"unload": STATUS, "status": STATUS, "reload": {}, "system": {}}
    yield fake
    fake.close()


class Door:
    """A gateway that others than this machine may reach, and the keys to it."""

    def __init__(self, app: Flask) -> None:
        self.client: FlaskClient = app.test_client()
        self.services: Services = app.extensions[EXTENSION]

    def key(self, *permissions: str, **terms: Any) -> dict[str, str]:
        """The header of a new key."""
        made = Terms(permissions=permissions or ("all",), **terms)
        _, text = self.services.keys.create("a key", made)
        self.services.key_book.forget()
        return {"Authorization": f"Bearer {text}"}

    def status(self, path: str, headers: dict[str, str] | None = None, **how: Any) -> int:
        return self.client.open(path, headers=headers, **how).status_code


@pytest.fixture
def door(make_app: Callable[..., Flask], manager: FakeManager) -> Door:
    return Door(make_app(manager, host="0.0.0.0"))


@pytest.fixture
def open_door(make_app: Callable[..., Flask], manager: FakeManager) -> Door:
    return Door(make_app(manager))


# --- open, and not --------------------------------------------------------------------------------


def test_on_loopback_any_key_will_do(open_door: Door) -> None:
    """Also none; what manages needs one as soon as there are any."""
    for headers in (None, {"Authorization": "Bearer any"}, {"x-api-key": "any"}):
        assert open_door.status("/v1/models", headers) == 200
        assert open_door.status("/v1/models/plain/unload", headers, method="POST") == 200
    good = open_door.key("models:manage")
    for headers in (None, {"Authorization": "Bearer any"}):
        assert open_door.status("/v1/models", headers) == 200
        assert open_door.status("/v1/models/plain/unload", headers, method="POST") == 401
        assert open_door.status("/admin/keys", headers) == 401
    assert open_door.status("/v1/models/plain/unload", good, method="POST") == 200
    assert open_door.status("/admin/keys", good) == 403


def test_elsewhere_all_but_health_needs_a_key(door: Door) -> None:
    """Even before there is one, and also what does not exist."""
    assert door.status("/health") == 200
    for path in (
        "/",
        "/ready",
        "/v1/models",
        "/nowhere",
        "/metrics",
        "/api/tags",
        "/admin/keys",
    ):
        assert door.status(path) == 401, path
        assert door.status(path, {"Authorization": "Bearer wrong"}) == 401, path
    good = door.key()
    assert door.status("/v1/models", good) == 200
    assert door.status("/nowhere", good) == 404


@pytest.mark.parametrize(
    ("settings", "status"),
    [
        ({"auth": "off", "host": "0.0.0.0"}, 200),
        ({"auth": "required"}, 401),
        ({"api_keys": ["password1"]}, 401),
        ({"jwt_secret": JWT_SECRET}, 401),
        ({"host": "localhost"}, 200),
        ({"host": ""}, 401),
    ],
)
def test_when_a_key_is_needed(
    make_app: Callable[..., Flask], settings: dict[str, Any], status: int
) -> None:
    """As AUTH says; else by the address, and where the settings have keys."""
    assert Door(make_app(**settings)).status("/v1/models") == status


def test_keys_of_settings_that_were_read_again(open_door: Door) -> None:
    """They close an open server, though its gateways have not started anew."""
    assert open_door.status("/v1/models") == 200
    open_door.services.keys.configure(["password1"])
    open_door.services.key_book.forget()
    assert open_door.status("/v1/models") == 401
    assert open_door.status("/v1/models", {"x-api-key": "password1"}) == 200


@pytest.mark.parametrize(("public", "status"), [(True, 404), (False, 401)])
def test_metrics_and_docs_have_settings_of_their_own(
    make_app: Callable[..., Flask], public: bool, status: int
) -> None:
    """Routes of theirs are asked for a key, or not."""
    door = Door(make_app(host="0.0.0.0", metrics_public=public, docs_public=public))
    assert door.status("/docs/nothing") == status
    found = requirements.of("metrics.metrics", "GET", "/metrics",
                            metrics_public=public, docs_public=public)  # fmt: skip
    assert found.public is public
    if not public:
        assert door.status("/docs/nothing", door.key("chat")) == 404
        assert door.status("/metrics", door.key("chat")) == 403


def test_preflights_bring_no_key(door: Door) -> None:
    """Browsers ask before they send it; the answer may be read for its limits."""
    headers = {"Origin": "https://a.example", "Access-Control-Request-Method": "POST"}
    answer = door.client.options("/v1/chat/completions", headers=headers)
    assert answer.status_code == 204
    refused = door.client.get("/v1/models", headers={"Origin": "https://a.example"})
    assert refused.status_code == 401
    assert refused.headers["Access-Control-Allow-Origin"] == "*"
    assert "x-ratelimit-remaining-tokens" in refused.headers["Access-Control-Expose-Headers"]


# --- keys -----------------------------------------------------------------------------------------


def test_every_way_to_send_it(make_app: Callable[..., Flask], door: Door) -> None:
    """In addresses only where that is switched on."""
    text = door.key()["Authorization"].removeprefix("Bearer ")
    for headers in ({"x-api-key": text}, {"api-key": text}, {"Authorization": text}):
        assert door.status("/v1/models", headers) == 200
    assert door.status(f"/v1/models?api_key={text}") == 401
    lax = Door(make_app(host="0.0.0.0", api_key_in_query=True))
    assert lax.status(f"/v1/models?api_key={text}") == 200


def test_a_revoked_or_expired_key_is_none(door: Door) -> None:
    """From then on."""
    good = door.key("chat", "admin")
    keys = door.services.keys
    (key,) = keys.all()
    assert door.status("/admin/keys", good) == 200
    keys.revoke(key.id)
    door.services.key_book.forget()
    assert door.status("/admin/keys", good) == 401
    _, text = keys.create("late", Terms(permissions=("admin",)), expires=time.time() - 1)
    assert door.status("/admin/keys", {"x-api-key": text}) == 401


def test_tokens(make_app: Callable[..., Flask], manager: FakeManager) -> None:
    """JWTs carry what keys have."""
    door = Door(make_app(manager, host="0.0.0.0", jwt_secret=JWT_SECRET))

    def header(**claims: Any) -> dict[str, str]:
        made = jwt.signed({"sub": "ann", "exp": time.time() + 60} | claims, JWT_SECRET.encode())
        return {"Authorization": f"Bearer {made}"}

    assert door.status("/v1/models", header()) == 200
    assert door.status("/v1/models", header(exp=1)) == 401
    assert door.status("/admin/keys", header()) == 403
    assert door.status("/admin/keys", header(permissions=["admin"])) == 200
    answer = door.client.post(
        "/v1/chat/completions", json=CHAT, headers=header(tokens_per_minute=1000)
    )
    assert answer.status_code == 200
    claim = manager.asked[-1]["claim"]
    assert (claim.key_id, claim.allowance.tokens_per_minute) == ("jwt:ann", 1000)
    other = jwt.signed({"sub": "ann", "exp": time.time() + 60}, b"t" * 32)
    assert door.status("/v1/models", {"x-api-key": other}) == 401


def test_guessing_is_throttled(make_app: Callable[..., Flask]) -> None:
    """By address; a key that nobody can guess still holds, one that people made up has to wait."""
    door = Door(make_app(host="0.0.0.0", api_keys=["password1"]))
    door.services.keys.configure(["password1"])
    strong = door.key()
    assert door.status("/v1/models", {"x-api-key": "password1"}) == 200
    wrong = {"x-api-key": "password2"}
    for _ in range(FAILURES_PER_MINUTE):
        assert door.status("/v1/models", wrong) == 401
    answer = door.client.get("/v1/models", headers=wrong)
    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) > 0
    assert door.status("/v1/models", {"x-api-key": "password1"}) == 429
    assert door.status("/v1/models", strong) == 200
    assert door.status("/v1/models") == 401, "no key is no guess"
    elsewhere = {"REMOTE_ADDR": "10.0.0.9"}
    assert door.status("/v1/models", {"x-api-key": "password1"}, environ_base=elsewhere) == 200


# --- permissions ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("permission", "method", "path"),
    [
        ("chat", "POST", "/v1/chat/completions"),
        ("chat", "POST", "/v1/messages"),
        ("chat", "POST", "/v1/responses"),
        ("chat", "POST", "/api/chat"),
        ("chat", "GET", "/v1/responses/x"),
        ("completions", "POST", "/v1/completions"),
        ("completions", "POST", "/api/generate"),
        ("embeddings", "POST", "/v1/embeddings"),
        ("embeddings", "POST", "/v1/rerank"),
        ("embeddings", "POST", "/api/embed"),
        ("models:read", "GET", "/v1/models"),
        ("models:read", "GET", "/api/tags"),
        ("models:read", "GET", "/v1/models/plain/status"),
        ("models:manage", "POST", "/v1/models/load"),
        ("models:manage", "DELETE", "/v1/models/plain/unload"),
        ("models:manage", "DELETE", "/api/delete"),
        ("models:manage", "POST", "/instances"),
        ("metrics", "GET", "/v1/system/metrics"),
        ("admin", "POST", "/v1/admin/reload"),
        ("admin", "GET", "/admin/keys"),
        ("admin", "GET", "/admin/usage"),
        ("admin", "GET", "/v1/logs/recent"),
    ],
)
def test_each_route_has_its_permission(door: Door, permission: str, method: str, path: str) -> None:
    """With it the request gets in, with all the others it does not."""
    body = {"json": {}} if method != "GET" else {}
    includes = {"models:read": ["models:manage"], "metrics": ["admin"]}.get(permission, [])
    others = {"chat", "completions", "embeddings", "models:read", "models:manage", "metrics",
              "admin"} - {permission, *includes}  # fmt: skip
    refused = door.client.open(path, method=method, headers=door.key(*others), **body)
    assert refused.status_code == 403, refused.text
    assert permission in refused.text
    if path not in ("/v1/logs/recent", "/instances", "/api/delete", "/v1/models/load"):
        allowed = door.client.open(path, method=method, headers=door.key(permission), **body)
        assert allowed.status_code not in (401, 403), allowed.text


# --- models ---------------------------------------------------------------------------------------


def test_models_that_a_key_may_not_use(door: Door, manager: FakeManager) -> None:
    """They are not listed, cannot be used, and cannot be managed."""
    limited = door.key("chat", "models:manage", models=("pl*",))
    listed = door.client.get("/v1/models", headers=limited).get_json()["data"]
    assert [model["id"] for model in listed] == ["plain"]
    assert door.status("/v1/models/other", limited) == 404
    before = len(manager.asked), len(manager.orders)
    answer = door.client.post(
        "/v1/chat/completions", json=CHAT | {"model": "other"}, headers=limited
    )
    assert answer.status_code == 403
    assert answer.get_json()["error"]["param"] == "model"
    assert door.status("/v1/models/other/unload", limited, method="POST") == 403
    assert (len(manager.asked), len(manager.orders)) == before, "the manager heard nothing of it"
    answer = door.client.post(
        "/v1/chat/completions", json=CHAT | {"model": "plane"}, headers=limited
    )
    assert answer.status_code == 404
    assert "other" not in answer.text, "nor is it named beside those that there are"
    assert door.status("/v1/chat/completions", limited, method="POST", json=CHAT) == 200
    assert door.status("/v1/models/plain/unload", limited, method="POST") == 200


class Named(FakeManager):
    """`plain` is also called `fast`, has an adapter and an instance `x`; and there is `other`."""

    def __init__(self) -> None:
        names = ("plain", "plain:ad", "plain@x", "plain@x:ad", "other", "other@y")
        super().__init__({name: {} for name in names})
        self.answers |= {"unload": STATUS, "status": STATUS, "instances.delete": {}}
        shapes = [{"id": id, "model": model} for id, model in (("x", "plain"), ("y", "other"))]
        self.answers["instances.list"] = {"data": shapes}
        self.answers["instances.get"] = shapes[1]

    def _info(self, name: str) -> control.ModelInfo:
        info = super()._info(name)
        base, _, adapter = name.partition(":")
        return msgspec.structs.replace(
            info,
            aliases=("fast",) if name == "plain" else (),
            parent=base if adapter else None,
            instance_of=base.partition("@")[0] if "@" in base else None,
        )


@pytest.fixture
def named(make_app: Callable[..., Flask]) -> Iterator[Door]:
    fake = Named()
    door = Door(make_app(fake, host="0.0.0.0"))
    yield door
    fake.close()


@pytest.mark.parametrize(
    ("pattern", "may", "may_not"),
    [
        ("plain", ["plain", "fast", "plain@x"], ["plain:ad", "plain@x:ad", "other", "nothing"]),
        ("fast", ["plain", "fast", "plain@x"], ["plain:ad", "plain@x:ad", "other"]),
        ("plain:*", ["plain:ad", "plain@x:ad"], ["plain", "plain@x", "other"]),
        ("plain*", ["plain", "plain:ad", "plain@x", "plain@x:ad"], ["other", "other@y"]),
    ],
)
def test_by_whichever_name(named: Door, pattern: str, may: list[str], may_not: list[str]) -> None:
    """An id, an alias, an adapter's, or that of an instance: what is listed can be used."""
    limited = named.key("models:read", models=(pattern,))
    for model, status in [(one, 200) for one in may] + [(one, 403) for one in may_not]:
        assert named.status(f"/v1/models/{model}/status?capabilities=false", limited) == status


@pytest.mark.parametrize(
    ("pattern", "model", "status"),
    [("plain", "plain", 404), ("plain", "plain:ad", 403), ("plain:*", "plain:ad", 404)],
)
def test_instances_are_used_as_their_model(
    named: Door, monkeypatch: pytest.MonkeyPatch, pattern: str, model: str, status: int
) -> None:
    """Adapters too. (404: it got as far as the manager.)"""
    refuse = lambda model, *call, **said: call[1].put(ModelNotFound("so far")) or 1  # noqa: E731
    monkeypatch.setattr(named.services._given, "acquire", refuse)
    limited = named.key("chat", models=(pattern,))
    body = CHAT | {"model": model}
    path = "/proxy/x/v1/chat/completions"
    assert named.status(path, limited, method="POST", json=body) == status


def test_instances_of_other_models(named: Door) -> None:
    """They are not listed, shown or ended."""
    limited = named.key("models:manage", models=("plain",))
    listed = named.client.get("/instances", headers=limited).get_json()["data"]
    assert [one["id"] for one in listed] == ["x"]
    for method in ("GET", "DELETE"):
        assert named.status("/instances/y", limited, method=method) == 403
        assert named.status("/instances/y", named.key("models:manage"), method=method) == 200


def test_events_of_other_models(named: Door) -> None:
    """Are not told; what is about no model is."""
    limited = named.key("models:manage", models=("plain",))
    answer = named.client.get("/v1/events", headers=limited, buffered=False)
    pieces = iter(answer.response)
    next(pieces)
    manager = named.services._given
    assert isinstance(manager, Named)
    (inbox,) = manager.listening.values()
    for number, model in enumerate(["other", "plain", "other@y", "plain@x", ""], start=1):
        inbox.put(control.Event(number, 0.0, "model.listed", model))
    inbox.put(control.Event(9, 0.0, "manager.stopping"))
    told = [piece.partition(b"\n")[0] for piece in pieces]
    assert told == [b"id: 2", b"id: 4", b"id: 5", b"id: 9"]


def test_status_names_no_other_models(named: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    manager = named.services._given
    assert isinstance(manager, Named)
    manager.answers["system"] = {"details": {"models": ["plain", "other", "plain@x"]}}
    snapshot = manager.snapshot()
    assert snapshot is not None
    snapshot = msgspec.structs.replace(snapshot, default_model="other")
    monkeypatch.setattr(manager, "snapshot", lambda: snapshot)
    limited = named.key("models:read", models=("plain",))
    told = named.client.get("/v1/system/status", headers=limited).get_json()
    assert told["details"]["models"] == ["plain", "plain@x"]
    assert told["default_model"] is None
    assert told["models"]["total"] == 1
    told = named.client.get("/v1/system/status", headers=named.key()).get_json()
    assert told["default_model"] == "other"
    assert len(told["details"]["models"]) == 3


def test_unloading_as_ollama_does_is_managing(door: Door, open_door: Door) -> None:
    """`ollama stop`: a request with nothing to answer that keeps the model for no time."""
    stop = {"model": "plain", "keep_alive": 0}
    for path, permission in (
        ("/api/chat", "chat"),
        ("/api/generate", "completions"),
        ("/api/embed", "embeddings"),
    ):
        assert open_door.status(path, method="POST", json=stop) == 200
        assert door.status(path, door.key(permission), method="POST", json=stop) == 403
        both = door.key(permission, "models:manage")
        assert door.status(path, both, method="POST", json=stop) == 200
        open_door.services.key_book.forget()
        assert open_door.status(path, method="POST", json=stop) == 401
        for key in open_door.services.keys.all():
            open_door.services.keys.revoke(key.id)
        open_door.services.key_book.forget()
        door.services.key_book.forget()


# --- limits ---------------------------------------------------------------------------------------


def test_the_manager_is_told_whose_it_is_and_what_it_took(door: Door, manager: FakeManager) -> None:
    """The key's id, its limits, what the request may take, and in the end what it has taken."""
    headers = door.key("chat", tokens_per_minute=1000, weight=3.0)
    (key,) = door.services.keys.all()
    manager.tokens.clear()
    answer = door.client.post("/v1/chat/completions", json=CHAT, headers=headers)
    usage = answer.get_json()["usage"]
    asked = manager.asked[-1]
    assert asked["key"] == asked["claim"].key_id == key.id
    assert asked["claim"].allowance == key.terms.allowance()
    assert asked["claim"].reserve == 4 + 1 + len("userHi") // 4
    assert manager.tokens == [(usage["prompt_tokens"], usage["completion_tokens"])]
    door.client.post("/v1/chat/completions", json=CHAT, headers=door.key("chat"))
    assert manager.asked[-1]["claim"].reserve == 0, "nobody needs it"


def test_limits_in_headers(
    make_app: Callable[..., Flask], manager: FakeManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenAI's names, on answers, streams and refusals."""
    rate = Rate(60, 59, 1.0, 1000, 900, 6.0)
    grant = control.Granted

    def rated(*facts: Any) -> control.Granted:
        return grant(*facts, rate=rate)

    door = Door(make_app(manager))
    monkeypatch.setattr(control, "Granted", rated)
    for stream in (False, True):
        answer = door.client.post("/v1/chat/completions", json=CHAT | {"stream": stream})
        assert answer.headers["x-ratelimit-limit-requests"] == "60"
        assert answer.headers["x-ratelimit-remaining-tokens"] == "900"
        assert answer.headers["x-ratelimit-reset-tokens"] == "6s"
        assert "anthropic-ratelimit-tokens-limit" not in answer.headers
        answer.get_data()
    for stream in (False, True):
        answer = door.client.post("/v1/messages", json=CHAT | {"stream": stream})
        assert answer.headers["anthropic-ratelimit-requests-remaining"] == "59"
        assert answer.headers["anthropic-ratelimit-tokens-reset"].endswith("Z")
        assert answer.headers["x-ratelimit-limit-requests"] == "60"
        answer.get_data()

    def refuse(model: str, request_id: str, inbox: Any, **asked: Any) -> int:
        error = RateLimitExceeded("slowly", retry_after_s=1.2)
        error.rate = rate
        inbox.put(error)
        return 1

    monkeypatch.setattr(manager, "acquire", refuse)
    refused = door.client.post("/v1/chat/completions", json=CHAT)
    assert refused.status_code == 429
    assert refused.get_json()["error"]["code"] == "rate_limit_exceeded"
    assert refused.headers["Retry-After"] == "2"
    assert refused.headers["x-ratelimit-remaining-requests"] == "59"
    refused = door.client.post("/v1/messages", json=CHAT)
    assert refused.get_json()["error"]["type"] == "rate_limit_error"
    assert refused.headers["anthropic-ratelimit-requests-remaining"] == "59"
    refused = door.client.post("/api/chat", json=CHAT)
    assert (refused.status_code, refused.get_json()) == (429, {"error": "slowly"})


# --- what else a key decides ----------------------------------------------------------------------


def test_stored_responses_are_their_keys(door: Door) -> None:
    """For another key they are not there."""
    mine, others = door.key("chat"), door.key("all")
    body = {"model": "plain", "input": "Hi", "max_output_tokens": 4}
    made = door.client.post("/v1/responses", json=body, headers=mine).get_json()["id"]
    for method, path in (
        ("GET", f"/v1/responses/{made}"),
        ("GET", f"/v1/responses/{made}/input_items"),
        ("DELETE", f"/v1/responses/{made}"),
    ):
        assert door.status(path, others, method=method) == 404
    follow = body | {"previous_response_id": made}
    assert door.status("/v1/responses", others, method="POST", json=follow) == 400
    assert door.status("/v1/responses", mine, method="POST", json=follow) == 200
    assert door.status(f"/v1/responses/{made}", mine) == 200


def test_the_name_of_thoughts_by_key(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """It goes before the setting."""
    seen: list[Any] = []

    class Completion(ChatCompletion):
        def __init__(self, *facts: Any, **options: Any) -> None:
            seen.append(options["thoughts"])
            super().__init__(*facts, **options)

    monkeypatch.setattr(chat, "ChatCompletion", Completion)
    for name in ("reasoning", "reasoning_content", None):
        headers = door.key("chat", reasoning_field=name)
        door.client.post("/v1/chat/completions", json=CHAT, headers=headers)
    assert seen == [FIELDS["reasoning"], FIELDS["reasoning_content"], FIELDS["both"]]


# --- how it is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "headers", "status", "check"),
    [
        ("/v1/chat/completions", {}, 401, lambda b: b["error"]["code"] == "invalid_api_key"),
        ("/v1/messages", {}, 401, lambda b: b["error"]["type"] == "authentication_error"),
        ("/api/chat", {}, 401, lambda b: "API key" in b["error"]),
        ("/v1/chat/completions", None, 403, lambda b: b["error"]["code"] == "permission_denied"),
        ("/v1/messages", None, 403, lambda b: b["error"]["type"] == "permission_error"),
        ("/api/chat", None, 403, lambda b: "permission" in b["error"]),
    ],
)
def test_each_family_in_its_own_shape(
    door: Door, path: str, headers: dict[str, str] | None, status: int, check: Callable[..., bool]
) -> None:
    """With WWW-Authenticate where a key is missing."""
    headers = door.key("embeddings") if headers is None else headers
    answer = door.client.post(path, json={}, headers=headers)
    assert answer.status_code == status
    assert check(answer.get_json())
    assert ("WWW-Authenticate" in answer.headers) == (status == 401)


def test_keys_are_told_to_nobody(door: Door, capfd: pytest.CaptureFixture[str]) -> None:
    """Neither in answers nor in the log, right or wrong, wherever they stand."""
    good = door.key("chat")
    text = good["Authorization"].removeprefix("Bearer ")
    wrong = "sk-wrong-geheim"
    answers = [
        door.client.get("/v1/models", headers=good),
        door.client.post("/v1/chat/completions", json=CHAT, headers=good),
        door.client.get(f"/v1/models?api_key={text}", headers={"x-api-key": wrong}),
        door.client.get("/admin/keys", headers=door.key("admin")),
    ]
    told = "".join(answer.text + str(answer.headers) for answer in answers)
    logged = "".join(capfd.readouterr())
    assert "wrong API key" in logged
    for secret in (text, wrong, door.services.keys.digest(text)):
        assert secret not in told
        assert secret not in logged
