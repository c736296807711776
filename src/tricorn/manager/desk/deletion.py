"""Which files a model's deletion removes, and their removal."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tricorn.engines.llamacpp import mmproj
from tricorn.engines.spec import ModelSpec
from tricorn.errors import Conflict, ModelLoadFailed, NotAllowed
from tricorn.hub import staging
from tricorn.manager.catalog import gguf_names


@dataclass(frozen=True)
class Deletion:
    root: Path
    """MODEL_BASE_PATH, resolved."""
    paths: tuple[Path, ...]
    """Files, or one folder; below the root."""

    def names(self) -> list[str]:
        return [path.relative_to(self.root).as_posix() for path in self.paths]


def plan(spec: ModelSpec, specs: Mapping[str, ModelSpec], base: Path) -> Deletion:
    """NotAllowed where its files lie elsewhere; Conflict where others would go with them."""
    root = base.resolve()
    path = Path(spec.path) if spec.path else None
    if path is None or not path.is_absolute() or path == root or not path.is_relative_to(root):
        raise NotAllowed(
            f"The files of {spec.id} do not lie below MODEL_BASE_PATH; remove them where they are."
        )
    paths = (path,) if path.is_dir() else tuple(p for p in gguf_names.parts(path) if p.exists())
    others = sorted(
        other.id
        for other in specs.values()
        if other.id != spec.id
        and other.path
        and any(Path(other.path).is_relative_to(one) for one in paths)
    )
    if others:
        raise Conflict(
            f"The files of {spec.id} are those of {', '.join(others[:5])} too; delete that first, "
            "or end the instance."
        )
    return Deletion(root, (*paths, *_eye(spec, specs)) if path.is_file() else paths)


def _eye(spec: ModelSpec, specs: Mapping[str, ModelSpec]) -> list[Path]:
    """The mmproj file beside a GGUF model, where no other model sees by it."""

    def seen_by(path: str) -> Path | None:
        try:
            return mmproj.find(Path(path), None)
        except ModelLoadFailed:  # several would do
            return None

    eye = seen_by(spec.path)
    others = [one for one in specs.values() if one.id != spec.id and one.format == "gguf"]
    if eye is None or any(one.path and seen_by(one.path) == eye for one in others):
        return []
    return [eye]


def carry_out(deletion: Deletion) -> None:
    """Remove them, and folders that are empty then. NotAllowed where the system refuses."""
    try:
        for path in deletion.paths:
            # A link goes, not what it leads to.
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
    except OSError as error:
        raise NotAllowed(f"The files cannot be removed: {error.strerror or error}.") from error
    for path in deletion.paths:
        for folder in path.parents:
            if folder == deletion.root or not folder.is_relative_to(deletion.root):
                break
            with contextlib.suppress(OSError):  # others are in it
                staging.discard(folder)
                folder.rmdir()
