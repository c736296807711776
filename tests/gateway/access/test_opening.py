"""Who needs a key, where, and every way to show one."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from tests.gateway.access.door import CHAT, JWT_SECRET, Door
from tests.gateway.engines import FakeManager

from tricorn.access import jwt
from tricorn.access.terms import Terms
from tricorn.access.throttle import FAILURES_PER_MINUTE
from tricorn.gateway.guard import requirements

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
