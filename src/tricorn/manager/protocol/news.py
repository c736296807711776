"""What every gateway is told without asking: the models as they are now, and what happens."""

from __future__ import annotations

from typing import Any

import msgspec

from tricorn.manager.protocol.model_info import ModelInfo


class Snapshot(msgspec.Struct, frozen=True, tag="snapshot"):
    version: int
    models: list[ModelInfo]
    ready: bool
    """A request could be served now (the preloaded model is up, nothing is shutting down)."""
    reason: str
    """Why not ready, or a short word that all is well."""
    default_model: str | None = None
    log_level: str = ""
    """That all of Tricorn's processes are to have."""


class Event(msgspec.Struct, frozen=True, tag="event"):
    """Something has happened; every gateway is told of everything."""

    number: int
    """Grows by one with each event of this manager."""
    time: float
    """Unix seconds."""
    kind: str
    """replica.state, model.listed, model.gone, download, instance.created, …"""
    model: str = ""
    data: dict[str, Any] = {}
