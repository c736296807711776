"""The Hugging Face cache: which repositories of models it holds, and which files of them count.

    CACHE/models--ORG--NAME/refs/main            the revision that `main` was, when last asked for
                            snapshots/REVISION/  its files, as links to …
                            blobs/               … these; NAME.incomplete while they are downloaded

Datasets and spaces are passed over. What cannot be read is not there.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tricorn.settings.config import Settings

PREFIX = "models--"
MAX_REF_BYTES = 200


@dataclass(frozen=True)
class Repository:
    id: str
    """ORG/NAME, or NAME alone."""
    path: Path
    snapshot: Path | None
    """The folder with its files; None where there is none."""
    incomplete: bool
    """A download has not ended."""


def folder(settings: Settings, environ: Mapping[str, str] = os.environ) -> Path:
    """Where the cache is, there or not: as the settings say, else where huggingface_hub has it."""
    if settings.hf_hub_cache is not None:
        return settings.hf_hub_cache.expanduser().resolve()
    if settings.hf_home is not None:
        home = settings.hf_home.expanduser()
    elif cache := environ.get("XDG_CACHE_HOME"):
        home = Path(cache).expanduser() / "huggingface"
    else:
        home = Path("~/.cache/huggingface").expanduser()
    return (home / "hub").resolve()


def repositories(root: Path) -> Iterator[Repository]:
    """Those of models, by the names of their folders. `root` is resolved."""
    for path in _folders(root):
        if path.name.startswith(PREFIX) and not path.is_symlink():
            yield Repository(
                id=path.name.removeprefix(PREFIX).replace("--", "/", 1),
                path=path,
                snapshot=_snapshot(path),
                incomplete=_is_incomplete(path),
            )


def incomplete(name: str) -> str:
    """The fault of a model whose download has not ended."""
    return f"its download is not complete: `tricorn pull {name}` continues it"


def absent(name: str, places: str) -> str:
    """The fault of an entry of the settings whose repository is not there."""
    return f"{name} is not in {places}: `tricorn pull {name}` fetches it"


def _snapshot(repository: Path) -> Path | None:
    """The one that `main` is, else the newest."""
    snapshots = _folders(repository / "snapshots")
    try:
        with (repository / "refs" / "main").open("rb") as file:
            revision = file.read(MAX_REF_BYTES).decode("ascii", errors="replace").strip()
    except OSError:
        revision = ""
    named = next((path for path in snapshots if path.name == revision), None)
    return named or max(snapshots, key=_mtime_ns, default=None)


def _is_incomplete(repository: Path) -> bool:
    try:
        with os.scandir(repository / "blobs") as entries:
            return any(entry.name.endswith(".incomplete") for entry in entries)
    except OSError:
        return False


def _folders(path: Path) -> list[Path]:
    try:
        with os.scandir(path) as entries:
            found = [Path(entry.path) for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return []
    return sorted(found)


def _mtime_ns(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0
