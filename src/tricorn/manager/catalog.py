"""The catalog: which models there are, found by scanning and in the settings.

A model's id is its path below MODEL_BASE_PATH without `.gguf`, or its name under `models:` in
tricorn.yaml. A broken file stays in the catalog with its `fault`, so that people see why it is not
served. A scan reads 24 bytes of each file that is new or changed; nothing else is opened.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tricorn.config import ModelSettings, Settings
from tricorn.engines.base import ModelSpec
from tricorn.errors import StartupError
from tricorn.hardware.choice import Choice
from tricorn.manager import gguf

EngineChooser = Callable[[str, str], Choice]
"""(model format, preference) → the engine; StartupError where there is none."""


@dataclass(frozen=True)
class _File:
    path: Path
    """As found, below the root; not resolved."""
    size: int
    mtime_ns: int
    fault: str | None


class Catalog:
    """Scans on demand. `scan` blocks (milliseconds) and may run in a thread, one at a time."""

    def __init__(self, settings: Settings, choose: EngineChooser) -> None:
        self._settings = settings
        self._choose = choose
        self._checked: dict[Path, tuple[int, int, str | None]] = {}

    def scan(self) -> dict[str, ModelSpec]:
        """Every model by id, in the order of their ids; entries of the settings win over files."""
        root = self._settings.model_base_path.resolve()
        named = self._settings.models
        specs: dict[str, ModelSpec] = {}
        checked: dict[Path, tuple[int, int, str | None]] = {}
        files = {file.path: file for file in self._files(root, checked)}
        for model_id, parts in _group(root, files).items():
            specs[model_id] = self._spec(model_id, parts, named.get(model_id))
        for name, entry in named.items():
            if name not in specs or entry.path is not None or entry.engine == "fake":
                specs[name] = self._named(name, entry, root, checked)
        self._checked = checked
        return dict(sorted(specs.items()))

    # --- files --------------------------------------------------------------------------------

    def _files(
        self, root: Path, checked: dict[Path, tuple[int, int, str | None]]
    ) -> Iterator[_File]:
        for path in _walk(root, root, set()):
            if path.name.lower().startswith("mmproj"):
                continue  # the vision half of another model, not a model
            file = self._file(path, checked)
            if file is None:
                continue
            if not _is_inside(path, root):
                file = _File(path, file.size, file.mtime_ns, "a link that leads out of the folder")
            yield file

    def _file(self, path: Path, checked: dict[Path, tuple[int, int, str | None]]) -> _File | None:
        try:
            status = path.stat()
        except OSError:
            return None  # removed meanwhile, or a link to nowhere
        known = self._checked.get(path)
        if known is not None and known[:2] == (status.st_size, status.st_mtime_ns):
            fault = known[2]
        else:
            fault = gguf.fault_of(path)
        checked[path] = (status.st_size, status.st_mtime_ns, fault)
        return _File(path, status.st_size, status.st_mtime_ns, fault)

    # --- specs --------------------------------------------------------------------------------

    def _spec(
        self, model_id: str, parts: list[_File | str], entry: ModelSettings | None
    ) -> ModelSpec:
        files = [part for part in parts if isinstance(part, _File)]
        faults = [
            f"{part.path.name}: {part.fault}" if len(parts) > 1 else part.fault
            for part in files
            if part.fault
        ]
        missing = [part for part in parts if isinstance(part, str)]
        if missing:
            faults.append(f"parts of the model are missing: {', '.join(missing)}")
        return self._made(
            model_id,
            entry,
            model_format="gguf",
            path=str(files[0].path),
            size=sum(file.size for file in files),
            created=max(file.mtime_ns for file in files) // 10**9,
            fault="; ".join(faults) or None,
        )

    def _named(
        self,
        name: str,
        entry: ModelSettings,
        root: Path,
        checked: dict[Path, tuple[int, int, str | None]],
    ) -> ModelSpec:
        """An entry of the settings that is not found under its own name by the scan."""
        if entry.engine == "fake":
            return self._made(name, entry, model_format="fake", path="")
        if entry.path is None:
            fault = f"there is no file {name}.gguf in {root}, and the settings give no path"
            return self._made(name, entry, model_format="gguf", path="", fault=fault)
        path = entry.path.expanduser().resolve()
        if path.is_dir():
            fault = f"{path} is a folder; this version serves GGUF files"
            return self._made(name, entry, model_format="gguf", path=str(path), fault=fault)
        files: dict[Path, _File] = {}
        for part in _parts(path):
            file = self._file(part, checked)
            if file is not None:
                files[part] = file
        if path not in files:
            fault = f"there is no file {path}"
            return self._made(name, entry, model_format="gguf", path=str(path), fault=fault)
        ((_, parts),) = _group(path.parent, files).items()
        return self._spec(name, parts, entry)

    def _made(
        self,
        model_id: str,
        entry: ModelSettings | None,
        *,
        model_format: str,
        path: str,
        size: int = 0,
        created: int = 0,
        fault: str | None = None,
    ) -> ModelSpec:
        preference = (entry.engine if entry else None) or self._settings.inference_engine
        try:
            choice = self._choose(model_format, preference)
        except StartupError as error:
            choice = Choice("", error.message)
            fault = fault or error.message
        options = (entry or ModelSettings.model_validate({})).options(self._settings)
        return ModelSpec(
            id=model_id,
            path=path,
            format="fake" if model_format == "fake" else "gguf",
            engine=choice.engine,
            engine_reason=choice.reason,
            size_bytes=size,
            created=created,
            options=options,
            fault=fault,
        )


def _walk(root: Path, folder: Path, seen: set[tuple[int, int]]) -> Iterator[Path]:
    """The .gguf files below `folder`; hidden names and folders that leave `root` are skipped.

    seen: folders visited, by device and inode, so that links cannot lead in circles.
    """
    try:
        status = folder.stat()
        if (status.st_dev, status.st_ino) in seen:
            return
        seen.add((status.st_dev, status.st_ino))
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        return  # not there yet, or not ours to read: nothing to find
    for entry in entries:
        path = Path(entry.path)
        if entry.name.startswith("."):
            continue
        if path.is_dir():
            if not entry.is_symlink() or _is_inside(path, root):
                yield from _walk(root, path, seen)
        elif entry.name.lower().endswith(".gguf"):
            yield path


def _is_inside(path: Path, root: Path) -> bool:
    try:
        return path.resolve().is_relative_to(root)
    except (OSError, RuntimeError):  # links in a circle
        return False


def _group(root: Path, files: dict[Path, _File]) -> dict[str, list[_File | str]]:
    """Model id → its files in order; the name of a part that is missing stands in its place."""
    groups: dict[str, list[_File | str]] = {}
    for path, file in files.items():
        model_id = path.relative_to(root).with_name(gguf.model_name(path)).as_posix()
        parts = [files.get(part, part.name) for part in _parts(path)]
        if len(parts) > 1 or model_id not in groups:
            groups[model_id] = parts if len(parts) > 1 else [file]
    return groups


def _parts(path: Path) -> list[Path]:
    """All files of the model that `path` belongs to, the first one first."""
    split = gguf.split_of(path.stem)
    if split is None:
        return [path]
    stem, _, count = split
    return [
        path.with_name(f"{stem}-{number:05d}-of-{count:05d}{path.suffix}")
        for number in range(1, count + 1)
    ]
