"""What a running pull tells, one JSON object a line: what is to come, how far it is, how it ended.

    Plan → (Progress | Verifying)* → Done | Failed

and Waiting anywhere. Sizes in bytes. Nothing here holds a secret.
"""

from __future__ import annotations

import msgspec

from tricorn.errors import ErrorInfo


class Order(msgspec.Struct, frozen=True):
    """What a pull's process is told, as the first line of its standard input."""

    name: str
    """As `names.parse` takes it."""
    root: str
    """MODEL_BASE_PATH."""


class PlannedFile(msgspec.Struct, frozen=True):
    name: str
    """Below the repository's folder, as it will lie there."""
    size: int
    digest: str
    """`sha256:…`, or `git:…` for small files that the hub keeps in git."""


class Waiting(msgspec.Struct, frozen=True, tag="waiting"):
    """Another process pulls into the same folder, or the hub is asked again soon."""

    reason: str


class Plan(msgspec.Struct, frozen=True, tag="plan"):
    repo: str
    commit: str
    files: list[PlannedFile]
    """All of the model, also those that are there already."""
    total: int
    completed: int
    """What is on the disk already, whole files and parts."""
    models: list[str]
    """The ids by which the catalog will list them."""


class Progress(msgspec.Struct, frozen=True, tag="progress"):
    file: str
    digest: str
    file_total: int
    file_completed: int
    total: int
    completed: int
    bytes_per_second: float | None = None
    """Over the last seconds; None: not known yet."""
    eta_s: float | None = None


class Verifying(msgspec.Struct, frozen=True, tag="verifying"):
    """What is on the disk already is read, to see whether it is what the hub has."""

    file: str
    digest: str


class Done(msgspec.Struct, frozen=True, tag="done"):
    models: list[str]
    files: list[str]
    """Absolute paths."""
    fetched: int
    """Bytes that came over the network."""


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    error: ErrorInfo


Update = Waiting | Plan | Progress | Verifying | Done | Failed
