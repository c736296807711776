"""Requests that are pinned to one named instance (`/proxy/ID/...`), whatever model they name.

What the client calls the model is what it is answered with; which one is asked for a lease, and
which ones it sees, is decided here alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, cast

import msgspec
from flask import g, has_request_context

from tricorn.manager.protocol.model_info import ModelInfo


@dataclass(frozen=True)
class Pin:
    """An instance that this request is pinned to."""

    model_id: str
    """Its entry in the catalog."""
    model: str
    """The model whose files it has."""

    def meant(self, asked: str) -> str:
        """The id to ask a lease for; an adapter of the model is that of the instance."""
        adapter = asked.removeprefix(f"{self.model}:")
        return self.model_id if adapter == asked else f"{self.model_id}:{adapter}"


def pin(to: Pin) -> None:
    """The request being handled."""
    g.pin = to


def current() -> Pin | None:
    """Of the request being handled."""
    return cast("Pin | None", g.get("pin")) if has_request_context() else None


def wanted(model: str) -> str:
    """What the manager is asked for where the request being handled names `model`."""
    pin = current()
    return model if pin is None else pin.meant(model)


def named(model: str) -> str:
    """The model whose files the request being handled uses where it names `model`."""
    pin = current()
    return model if pin is None or model.startswith(f"{pin.model}:") else pin.model


def seen(models: Iterable[ModelInfo]) -> list[ModelInfo]:
    """What the request being handled sees of the models: no instances, or a pinned one only, under
    its model's name."""
    pin = current()
    if pin is None:
        return [model for model in models if model.instance_of is None]
    return [
        msgspec.structs.replace(
            model,
            id=pin.model + model.id.removeprefix(pin.model_id),
            parent=None if model.parent is None else pin.model,
        )
        for model in models
        if pin.model_id in (model.id, model.parent)
    ]


def with_model(body: dict[str, Any]) -> dict[str, Any]:
    """A request's body; pinned, it need not name a model."""
    pin = current()
    if pin is not None and body.get("model") is None and body.get("name") is None:
        return body | {"model": pin.model}
    return body
