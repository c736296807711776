"""Where models lie: what a folder of models, the Hugging Face cache or a single path holds."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from tricorn.manager.catalog import gguf_names, hf_cache, hf_folder
from tricorn.manager.catalog.adapters import FoundAdapter
from tricorn.manager.catalog.hf_folder import ModelFolder
from tricorn.manager.catalog.inspected import Inspected, ScannedFile
from tricorn.manager.catalog.model_files import walk
from tricorn.model_facts import gguf
from tricorn.model_facts.facts import FileFacts


@dataclass(frozen=True)
class Source:
    """A model's files, whole or broken."""

    path: str
    format: Literal["gguf", "hf", "mlx", "fake"] = "gguf"
    size: int = 0
    created: int = 0
    """Unix seconds: the newest modification of its files."""
    quantisation: str | None = None
    fault: str | None = None
    facts: FileFacts | None = None


@dataclass
class Found:
    """What a folder holds; models by their place below it, as ids have it."""

    sources: dict[str, Source] = field(default_factory=dict)
    adapters: list[FoundAdapter] = field(default_factory=list)


def below(root: Path, seen: Inspected, *, top: str, within: Path | None = None) -> Found:
    """Models at or below `root`, which is resolved; a GGUF file's place is without its suffix.

    top: the place of the folder itself, where it is a model.
    within: where links may lead; None: not out of `root`.
    """
    allowed = within or root
    found = Found()
    files: dict[Path, ScannedFile] = {}
    folders: list[tuple[Path, list[hf_folder.FolderFile]]] = []
    for one in walk(root):
        if one.folder_files is None:
            file = seen.file(one.path, allowed)
            if file is not None:
                files[file.path] = file
        elif one.is_adapter:
            found.adapters.append(seen.adapter(one.path, root))
        else:
            folders.append((one.path, one.folder_files))
    for place, parts in gguf_names.grouped(root, files).items():
        found.sources[place] = of_files(parts, files)
    for path, content in folders:
        folder = seen.folder(path, content, within=allowed)
        place = path.relative_to(root).as_posix() if path != root else top
        # Beside a file m.gguf, the folder m is listed as m.hf.
        place = f"{place}.{folder.format}" if place in found.sources else place
        found.sources[place] = of_folder(path, folder)
    return found


def in_cache(root: Path, seen: Inspected) -> dict[str, Source]:
    """Models of the Hugging Face cache, by id: ORG/NAME; those of a repository that has several,
    but for a folder at its top, as ORG/NAME/PLACE."""
    sources: dict[str, Source] = {}
    for repository in hf_cache.repositories(root):
        name, snapshot = repository.id, repository.snapshot
        models = {}
        if snapshot is not None:
            models = below(snapshot, seen, top="", within=root).sources
        if not models and repository.incomplete:
            path = str(snapshot or repository.path)
            sources[name] = Source(path, "hf", fault=hf_cache.incomplete(name))
        for place, source in models.items():
            fault = source.fault
            if fault is not None and repository.incomplete:
                fault = f"{fault}; {hf_cache.incomplete(name)}"
            alone = len(models) == 1 or not place
            sources[name if alone else f"{name}/{place}"] = replace(source, fault=fault)
    return sources


def at(path: Path, seen: Inspected) -> Source:
    """A file or folder that the settings name; its links may lead anywhere."""
    if path.is_dir():
        content = hf_folder.list_files(path)
        if hf_folder.is_model(content):
            return of_folder(path, seen.folder(path, content, within=None))
        fault = f"{path} is a folder without a model: no config.json with *.safetensors in it"
        return Source(str(path), fault=fault)
    files = {part: file for part in gguf_names.parts(path) if (file := seen.file(part))}
    if path not in files:
        return Source(str(path), fault=f"there is no file {path}")
    return of_files(gguf_names.parts(path), files)


def of_files(parts: list[Path], there: dict[Path, ScannedFile]) -> Source:
    """A GGUF model of these parts, of which some may be missing."""
    files = [there[part] for part in parts if part in there]
    faults = [
        f"{part.path.name}: {part.fault}" if len(parts) > 1 else part.fault
        for part in files
        if part.fault
    ]
    missing = [part.name for part in parts if part not in there]
    if missing:
        faults.append(f"parts of the model are missing: {', '.join(missing)}")
    return Source(
        path=str(files[0].path),
        size=sum(file.size for file in files),
        created=max(file.mtime_ns for file in files) // 10**9,
        fault="; ".join(faults) or None,
        facts=gguf.whole([file.found for file in files]),
    )


def of_folder(path: Path, folder: ModelFolder) -> Source:
    return Source(
        path=str(path),
        format=folder.format,
        size=folder.size,
        created=folder.mtime_ns // 10**9,
        quantisation=folder.quantisation,
        fault=folder.fault,
        facts=folder.facts,
    )
