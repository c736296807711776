"""Which models a key may use, by whichever name, and that it sees no others."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec
import pytest
from flask import Flask
from tests.gateway.access.door import CHAT, STATUS, Door
from tests.gateway.engines import FakeManager

from tricorn.errors import ModelNotFound
from tricorn.manager.protocol.model_info import ModelInfo
from tricorn.manager.protocol.news import Event


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


def test_downloads_that_a_key_may_not_see(door: Door, manager: FakeManager) -> None:
    """As those of a name that it may not pull."""
    names = ["org/plain:Q4_0", "org/other:Q4_0"]
    manager.answers["pulls"] = {"object": "list", "data": [{"name": name} for name in names]}

    def listed(headers: dict[str, str]) -> list[str]:
        told = door.client.get("/v1/models/pull", headers=headers).get_json()
        return [one["name"] for one in told["data"]]

    assert listed(door.key("models:read")) == names
    assert listed(door.key("models:read", models=("org/pl*",))) == names[:1]


class Named(FakeManager):
    """`plain` is also called `fast`, has an adapter and an instance `x`; and there is `other`."""

    def __init__(self) -> None:
        names = ("plain", "plain:ad", "plain@x", "plain@x:ad", "other", "other@y")
        super().__init__({name: {} for name in names})
        self.answers |= {"unload": STATUS, "status": STATUS, "instances.delete": {}}
        shapes = [{"id": id, "model": model} for id, model in (("x", "plain"), ("y", "other"))]
        self.answers["instances.list"] = {"data": shapes}
        self.answers["instances.get"] = shapes[1]

    def _info(self, name: str) -> ModelInfo:
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
        inbox.put(Event(number, 0.0, "model.listed", model))
    inbox.put(Event(9, 0.0, "manager.stopping"))
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
