"""What an engine worker and the manager say to each other: first what the worker says."""

from __future__ import annotations

import msgspec

from tricorn.engines.base import EngineStats
from tricorn.engines.spec import Adapter, LoadedModel
from tricorn.errors import ErrorInfo


class Loading(msgspec.Struct, frozen=True, tag="loading"):
    """An engine worker tells how far its load has come, 0 to 1."""

    progress: float


class Ready(msgspec.Struct, frozen=True, tag="ready"):
    address: str
    model: LoadedModel


class LoadFailed(msgspec.Struct, frozen=True, tag="load_failed"):
    """It could not be loaded, or not parked or woken."""

    error: ErrorInfo


class Parked(msgspec.Struct, frozen=True, tag="parked"):
    """`Park` was done: the device's memory is free."""


class Woken(msgspec.Struct, frozen=True, tag="woken"):
    """`Wake` was done: all is as after `Ready`, but no prefix is cached."""


class CanaryDone(msgspec.Struct, frozen=True, tag="canary_done"):
    """The answer to `Canary`."""

    error: ErrorInfo | None = None
    """Why nothing came of it."""


class Stats(msgspec.Struct, frozen=True, tag="stats"):
    """An engine worker's current figures, every second: also its sign of life."""

    stats: EngineStats


WorkerMessage = Loading | Ready | LoadFailed | Parked | Woken | CanaryDone | Stats
"""What an engine worker says after its `Hello`."""


class Stop(msgspec.Struct, frozen=True, tag="stop"):
    """To an engine worker: end now."""


class DropAdapter(msgspec.Struct, frozen=True, tag="drop_adapter"):
    """To an engine worker: this version of an adapter is no longer there."""

    adapter: Adapter


class Park(msgspec.Struct, frozen=True, tag="park"):
    """To an engine worker without requests: give the device's memory back. Answered by `Parked`."""


class Wake(msgspec.Struct, frozen=True, tag="wake"):
    """To a parked engine worker: be as before. Answered by `Woken`."""


class Canary(msgspec.Struct, frozen=True, tag="canary"):
    """To an engine worker: generate one token, to show that it can. Answered by `CanaryDone`."""


class SetLevel(msgspec.Struct, frozen=True, tag="set_level"):
    """To an engine worker: log from this level on."""

    level: str
