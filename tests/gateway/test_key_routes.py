"""`/admin/keys` and `/admin/usage`."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import httpx
import msgspec
import pytest
from flask import Flask

from tricorn.access.terms import Terms
from tricorn.gateway.services import EXTENSION
from tricorn.storage.keys import KeyStore, StoredKey, UsageRow, day


@pytest.fixture
def app(make_app: Callable[..., Flask]) -> Flask:
    """One that others than this machine may reach."""
    return make_app(host="0.0.0.0")


@pytest.fixture
def store(app: Flask) -> KeyStore:
    found = app.extensions[EXTENSION].keys
    assert isinstance(found, KeyStore)
    return found


@pytest.fixture
def admin(app: Flask, store: KeyStore) -> Any:
    """As somebody who may."""
    _, text = store.create("admin", Terms(permissions=("admin",)))
    transport = httpx.WSGITransport(app=app)  # type: ignore[arg-type]
    with httpx.Client(
        transport=transport, base_url="http://tricorn", headers={"x-api-key": text}
    ) as client:
        yield client


def test_a_key_from_its_beginning_to_its_end(admin: httpx.Client, store: KeyStore) -> None:
    """Made, shown without itself, changed, rotated, revoked; each holds at once."""
    until = int(time.time()) + 1000
    body = {"name": "ann", "permissions": ["models:read"], "models": ["a*"],
            "requests_per_minute": 5, "expires": until}  # fmt: skip
    answer = admin.post("/admin/keys", json=body)
    assert answer.status_code == 201
    assert answer.headers["Cache-Control"] == "no-store"
    made = answer.json()
    text = made.pop("key")
    assert made.items() >= body.items()
    path = f"/admin/keys/{made['id']}"
    assert admin.get(path).json() == made
    assert [one["name"] for one in admin.get("/admin/keys").json()["data"]] == ["admin", "ann"]
    assert admin.get("/v1/models", headers={"x-api-key": text}).status_code == 200

    changed = admin.patch(path, json={"requests_per_minute": None, "weight": 2, "expires": None})
    assert changed.json() == made | {"requests_per_minute": None, "weight": 2.0, "expires": None}
    assert admin.patch(path, json={"models": None, "name": "bob"}).json()["models"] == []
    assert admin.patch(path, json={}).json()["permissions"] == ["models:read"]
    refused = admin.patch(path, json={"name": None})
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "name")

    other = admin.post(f"{path}/rotate").json()["key"]
    assert admin.get("/v1/models", headers={"x-api-key": text}).status_code == 401
    assert admin.get("/v1/models", headers={"x-api-key": other}).status_code == 200
    assert admin.delete(path).json()["revoked"] is not None
    assert admin.get("/v1/models", headers={"x-api-key": other}).status_code == 401
    assert admin.post(f"{path}/rotate").status_code == 409
    assert admin.patch(path, json={}).status_code == 409
    assert store.get(made["id"]).revoked is not None


def test_two_changes_at_the_same_time(
    admin: httpx.Client, store: KeyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither takes back what the other one has changed."""
    key, _ = store.create("ann", Terms())
    change = store.change

    def after_another(key_id: str, edit: Callable[[StoredKey], StoredKey]) -> StoredKey:
        change(key_id, lambda key: msgspec.structs.replace(key, name="bob", expires=9e9))
        return change(key_id, edit)

    monkeypatch.setattr(store, "change", after_another)
    told = admin.patch(f"/admin/keys/{key.id}", json={"weight": 2}).json()
    assert (told["name"], told["expires"], told["weight"]) == ("bob", 9e9, 2.0)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "name"),
        ({"name": ""}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"name": 1}, "name"),
        ({"name": "a", "permissions": []}, "permissions"),
        ({"name": "a", "permissions": "all"}, "permissions"),
        ({"name": "a", "permissions": ["chat", "root"]}, "permissions[1]"),
        ({"name": "a", "models": [""]}, "models[0]"),
        ({"name": "a", "requests_per_minute": 0}, "requests_per_minute"),
        ({"name": "a", "tokens_per_minute": 2**60}, "tokens_per_minute"),
        ({"name": "a", "weight": 0}, "weight"),
        ({"name": "a", "expires": 1}, "expires"),
        ({"name": "a", "reasoning_field": "x"}, "reasoning_field"),
        ({"name": "a", "permision": ["chat"]}, "permision"),
    ],
)
def test_what_is_refused(
    admin: httpx.Client, store: KeyStore, body: dict[str, Any], param: str
) -> None:
    """With the field's name; no key is made."""
    answer = admin.post("/admin/keys", json=body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)
    assert len(store.all()) == 1


def test_there_is_no_such_key(admin: httpx.Client) -> None:
    """404, whatever is asked of it."""
    for method, path in (("GET", ""), ("PATCH", ""), ("DELETE", ""), ("POST", "/rotate")):
        answer = admin.request(method, f"/admin/keys/key_x{path}", json={})
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "key_not_found")


def test_usage(admin: httpx.Client, store: KeyStore) -> None:
    """Of the last days, or of those that are named; of one key or model."""
    (key,) = store.all()
    today, long_ago = day(time.time()), "2020-01-01"
    store.add(
        [
            UsageRow(today, key.id, "m", 1, 10, 5),
            UsageRow(today, "", "n", 1, 1, 1),
            UsageRow(long_ago, key.id, "m", 1, 100, 0),
        ],
        {},
    )

    def total(**query: Any) -> int:
        return int(admin.get("/admin/usage", params=query).json()["total"]["total_tokens"])

    assert total() == 17
    assert total(key=key.id) == 15
    assert total(model="n") == 2
    assert total(since=long_ago) == 117
    assert total(since=long_ago, until="2020-01-31") == 100
    found = admin.get("/admin/usage", params={"model": "m"}).json()["data"]
    assert [(one["key_name"], one["day"]) for one in found] == [("admin", today)]


@pytest.mark.parametrize(
    ("query", "param"),
    [({"days": "0"}, "days"), ({"days": "²"}, "days"), ({"days": "000001" + "9" * 9}, "days"),
     ({"days": "1" * 5000}, "days"), ({"since": "today"}, "since"),
     ({"until": "2026-13-01"}, "until")],
)  # fmt: skip
def test_days_that_are_none(admin: httpx.Client, query: dict[str, str], param: str) -> None:
    """400 with their name."""
    answer = admin.get("/admin/usage", params=query)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)
