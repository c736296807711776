"""What a gateway may tell its clients of a model."""

from __future__ import annotations

from typing import Literal

import msgspec

from tricorn.engines.spec import Dialect, EngineCapabilities
from tricorn.model_facts.estimate import Estimate
from tricorn.model_facts.facts import FileFacts

ReplicaState = Literal["UNLOADED", "LOADING", "READY", "DRAINING", "PARKED", "FAILED"]


class ModelInfo(msgspec.Struct, frozen=True, array_like=True):
    """What a gateway may tell its clients of a model."""

    id: str
    created: int
    engine: str
    engine_reason: str
    format: str
    size_bytes: int
    state: ReplicaState
    context_length: int | None = None
    """Known once it has been loaded."""
    fault: str | None = None
    """Why it cannot be served until somebody mends it."""
    capabilities: EngineCapabilities | None = None
    """Known once it has been loaded."""
    parent: str | None = None
    """An adapter: the model that it belongs to, whose state and abilities are its own."""
    failure: str | None = None
    """Of its last load or run; it is tried again."""
    dialect: Dialect | None = None
    """Known once it has been loaded, as what follows."""
    dimensions: int | None = None
    """As `LoadedModel.dimensions` …"""
    shorter_dimensions: tuple[int, ...] | None = None
    """… and `LoadedModel.shorter_dimensions`."""
    memory_bytes: int | None = None
    """As `LoadedModel.memory_bytes`, while it is loaded."""
    details: dict[str, str | int | float | bool | None] = {}
    """As `LoadedModel.details`."""
    device: str = ""
    """As `ModelSpec.device`."""
    facts: FileFacts | None = None
    """As `ModelSpec.facts`."""
    estimate: Estimate | None = None
    """As `ModelSpec.estimate`."""
    aliases: tuple[str, ...] = ()
    """As `ModelSpec.aliases`."""
    instance_of: str | None = None
    """A named instance, which no list of models shows: the model whose files it has."""
    replicas: int = 1
    """How many it may have at once."""

    @property
    def trouble(self) -> str | None:
        """What is wrong with it now, in a sentence."""
        return self.fault or self.failure
