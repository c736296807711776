"""Looking through a folder of models: GGUF files, and folders that are a model or an adapter."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tricorn.manager.catalog import adapter_folder, hf_folder


@dataclass(frozen=True)
class Found:
    path: Path
    """Not resolved."""
    folder_files: list[hf_folder.FolderFile] | None = None
    """Of a model's or an adapter's folder; None: `path` is a GGUF file."""
    is_adapter: bool = False


def walk(root: Path) -> Iterator[Found]:
    """What looks like a model at or below `root`, which is resolved.

    Hidden names are skipped, and so are folders that are links out of `root`; files that are such
    links are given, for the catalog to refuse them by name. Folders inside a model folder belong to
    it, but for their GGUF files and adapters. An adapter whose folder is a link out is given too,
    unread.
    """
    yield from _walk(root, root, set(), inside_model=False)


def read_template(path: Path) -> tuple[str | None, str | None]:
    """(the text of a chat template's file, None) or (None, why it cannot be read)."""
    try:
        return path.expanduser().read_text(encoding="utf-8"), None
    except OSError as error:
        return None, f"the chat template {path} cannot be read: {error.strerror}"
    except UnicodeDecodeError:
        return None, f"the chat template {path} cannot be read: it is no UTF-8 text"


def is_inside(path: Path, root: Path) -> bool:
    """Whether a path, its links followed, lies in `root`."""
    try:
        return path.resolve().is_relative_to(root)
    except (OSError, RuntimeError):  # links in a circle
        return False


def _walk(
    root: Path, folder: Path, seen: set[tuple[int, int]], *, inside_model: bool
) -> Iterator[Found]:
    """seen: folders visited, by device and inode, so that links cannot lead in circles."""
    try:
        status = folder.stat()
        if (status.st_dev, status.st_ino) in seen:
            return
        seen.add((status.st_dev, status.st_ino))
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        return  # not there yet, or not ours to read: nothing to find
    if any(entry.name == adapter_folder.CONFIG for entry in entries):
        files = hf_folder.list_files(folder)
        if adapter_folder.is_adapter(files):
            yield Found(folder, files, is_adapter=True)
            return  # what is in it (checkpoints, other formats) belongs to it
    if not inside_model and any(entry.name == hf_folder.CONFIG for entry in entries):
        files = hf_folder.list_files(folder)
        if hf_folder.is_model(files):
            inside_model = True
            yield Found(folder, files)
    for entry in entries:
        path, name = Path(entry.path), entry.name.lower()
        if name.startswith("."):
            continue
        if path.is_dir():
            if not entry.is_symlink() or is_inside(path, root):
                yield from _walk(root, path, seen, inside_model=inside_model)
            elif (path / adapter_folder.CONFIG).exists():
                yield Found(path, [], is_adapter=True)
        elif name.endswith(".gguf") and "mmproj" not in name:
            yield Found(path)  # an mmproj file is the vision half of another model, not a model
