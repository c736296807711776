"""Files and folders as they were when they were last opened, which holds until they change.

A scan opens only what is new or changed; what a scan did not ask for is forgotten after it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from tricorn.manager.catalog import adapter_folder, gguf_names, hf_folder
from tricorn.manager.catalog.adapter_folder import AdapterFolder
from tricorn.manager.catalog.adapters import FoundAdapter
from tricorn.manager.catalog.hf_folder import OUTSIDE, ModelFolder
from tricorn.manager.catalog.model_files import is_inside
from tricorn.model_facts import gguf
from tricorn.model_facts.facts import FileFacts
from tricorn.model_facts.gguf import GgufFile


@dataclass(frozen=True)
class ScannedFile:
    path: Path
    """As found, below the root; not resolved."""
    size: int
    mtime_ns: int
    found: GgufFile

    @property
    def fault(self) -> str | None:
        return self.found.fault or gguf_names.misnamed(self.path, self.found)


@dataclass
class _Known:
    files: dict[Path, tuple[int, int, GgufFile]] = field(default_factory=dict)
    folders: dict[Path, tuple[hf_folder.Fingerprint, ModelFolder]] = field(default_factory=dict)
    adapters: dict[Path, tuple[hf_folder.Fingerprint, AdapterFolder]] = field(default_factory=dict)


class Inspected:
    """One scan at a time: `begin`, then the others."""

    def __init__(self) -> None:
        self._before = _Known()
        self._now = _Known()

    def begin(self) -> None:
        """A scan begins: what the last one has not seen is forgotten."""
        self._before, self._now = self._now, _Known()

    def file(self, path: Path, within: Path | None = None) -> ScannedFile | None:
        """A GGUF file; None where there is none. One that is a link out of `within` is refused."""
        try:
            status = path.stat()
        except OSError:
            return None  # removed meanwhile, or a link to nowhere
        if within is not None and not is_inside(path, within):
            outside = GgufFile(FileFacts(), OUTSIDE)
            return ScannedFile(path, status.st_size, status.st_mtime_ns, outside)
        known = self._before.files.get(path)
        if known is not None and known[:2] == (status.st_size, status.st_mtime_ns):
            found = known[2]
        else:
            found = gguf.inspect(path)
        self._now.files[path] = (status.st_size, status.st_mtime_ns, found)
        return ScannedFile(path, status.st_size, status.st_mtime_ns, found)

    def folder(
        self, path: Path, files: list[hf_folder.FolderFile], *, within: Path | None
    ) -> ModelFolder:
        """within: as for `hf_folder.inspect`."""
        fingerprint = hf_folder.fingerprint(files)
        known = self._before.folders.get(path)
        if known is not None and known[0] == fingerprint:
            folder = known[1]
        else:
            folder = hf_folder.inspect(path, files, within=within)
        self._now.folders[path] = (fingerprint, folder)
        return folder

    def adapter(self, path: Path, root: Path | None) -> FoundAdapter:
        """root: where it must lie; None: anywhere."""
        place = path.relative_to(root).as_posix() if root is not None else path.name
        if root is not None and not is_inside(path, root):
            return FoundAdapter(path, AdapterFolder(fault=OUTSIDE), place)
        files = hf_folder.list_files(path)
        fingerprint = hf_folder.fingerprint(files)
        known = self._before.adapters.get(path)
        if known is not None and known[0] == fingerprint:
            folder = known[1]
        else:
            folder = adapter_folder.inspect(path, files, within=root)
        self._now.adapters[path] = (fingerprint, folder)
        return FoundAdapter(path, folder, place)

    def given_adapter(self, name: str, path: Path, owner: str) -> FoundAdapter:
        """One that the settings give a model under a name of its own."""
        one = self.adapter(path, None)
        if not path.is_dir():
            one = replace(one, folder=AdapterFolder(fault=f"there is no folder {path}"))
        return replace(one, place=name, owner=owner)
