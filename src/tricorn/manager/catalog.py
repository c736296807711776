"""The catalog: which models there are, found by scanning and in the settings.

A model's id is its path below MODEL_BASE_PATH (a GGUF file's without `.gguf`), or its name under
`models:` in tricorn.yaml. A broken model stays in the catalog with its `fault`, so that people see
why it is not served; so does one that no engine can serve on this machine. A scan opens only what
is new or changed, and reads of it what stands before the weights (`model_facts`).

LoRA adapters are found along with the models and given to those that they belong to (`adapters`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import msgspec

from tricorn.config import ModelSettings, Settings
from tricorn.engines.spec import EngineOptions, ModelSpec
from tricorn.errors import StartupError
from tricorn.hardware.choice import Choice, ModelTraits, Preferences
from tricorn.hardware.facts import Facts
from tricorn.manager import (
    adapter_folder,
    adapters,
    gguf_names,
    hf_folder,
    memory_estimate,
    vision_half,
)
from tricorn.manager.adapter_folder import AdapterFolder
from tricorn.manager.adapters import FoundAdapter
from tricorn.manager.hf_folder import OUTSIDE, ModelFolder
from tricorn.manager.model_files import is_inside, read_template, walk
from tricorn.model_facts import gguf
from tricorn.model_facts.estimate import Estimate
from tricorn.model_facts.facts import FileFacts
from tricorn.model_facts.gguf import GgufFile

EngineChooser = Callable[[ModelTraits, Preferences], Choice]
"""The engine for a model; StartupError where there is none."""


@dataclass(frozen=True)
class _File:
    path: Path
    """As found, below the root; not resolved."""
    size: int
    mtime_ns: int
    found: GgufFile

    @property
    def fault(self) -> str | None:
        return self.found.fault or gguf_names.misnamed(self.path, self.found)


@dataclass
class _Checked:
    """What was found when a file or folder was last opened, valid while it does not change."""

    files: dict[Path, tuple[int, int, GgufFile]] = field(default_factory=dict)
    folders: dict[Path, tuple[hf_folder.Fingerprint, ModelFolder]] = field(default_factory=dict)
    adapters: dict[Path, tuple[hf_folder.Fingerprint, AdapterFolder]] = field(default_factory=dict)


class Catalog:
    """Scans on demand. `scan` blocks (milliseconds) and may run in a thread, one at a time."""

    def __init__(
        self, settings: Settings, choose: EngineChooser, machine: Facts | None = None
    ) -> None:
        """machine: what estimates of memory go by; None: nothing is known of it."""
        self._settings = settings
        self._machine = machine or Facts()
        self._choose = choose
        self._before = _Checked()
        self._now = _Checked()

    def scan(self) -> dict[str, ModelSpec]:
        """Every model by id, in the order of their ids; entries of the settings win over files."""
        root = self._settings.model_base_path.resolve()
        named = self._settings.models
        self._now = _Checked()
        files: dict[Path, _File] = {}
        folders: list[tuple[Path, list[hf_folder.FolderFile]]] = []
        loras: list[FoundAdapter] = []
        for found in walk(root):
            if found.folder_files is None:
                file = self._scanned_file(found.path, root)
                if file is not None:
                    files[file.path] = file
            elif found.is_adapter:
                loras.append(self._adapter(found.path, root))
            else:
                folders.append((found.path, found.folder_files))
        specs: dict[str, ModelSpec] = {}
        for model_id, parts in gguf_names.grouped(root, files).items():
            specs[model_id] = self._spec(model_id, parts, files, named.get(model_id))
        for path, content in folders:
            folder = self._folder(path, content, within=root)
            name = path.relative_to(root).as_posix() if path != root else root.name
            # Beside a file m.gguf, the folder m is listed as m.hf.
            model_id = f"{name}.{folder.format}" if name in specs else name
            specs[model_id] = self._folder_spec(model_id, path, folder, named.get(model_id))
        for name, entry in named.items():
            if name not in specs or entry.path is not None or entry.engine == "fake":
                specs[name] = self._named(name, entry, root)
            loras += self._named_adapters(name, entry, root)
        self._before = self._now
        return dict(sorted(adapters.assigned(specs, loras).items()))

    # --- files and folders --------------------------------------------------------------------

    def _scanned_file(self, path: Path, root: Path) -> _File | None:
        file = self._file(path)
        if file is not None and not is_inside(path, root):
            return replace(file, found=GgufFile(FileFacts(), OUTSIDE))
        return file

    def _file(self, path: Path) -> _File | None:
        try:
            status = path.stat()
        except OSError:
            return None  # removed meanwhile, or a link to nowhere
        known = self._before.files.get(path)
        if known is not None and known[:2] == (status.st_size, status.st_mtime_ns):
            found = known[2]
        else:
            found = gguf.inspect(path)
        self._now.files[path] = (status.st_size, status.st_mtime_ns, found)
        return _File(path, status.st_size, status.st_mtime_ns, found)

    def _folder(
        self, path: Path, files: list[hf_folder.FolderFile], *, within: Path | None
    ) -> ModelFolder:
        fingerprint = hf_folder.fingerprint(files)
        known = self._before.folders.get(path)
        if known is not None and known[0] == fingerprint:
            folder = known[1]
        else:
            folder = hf_folder.inspect(path, files, within=within)
        self._now.folders[path] = (fingerprint, folder)
        return folder

    # --- adapters -----------------------------------------------------------------------------

    def _adapter(self, path: Path, root: Path | None) -> FoundAdapter:
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

    def _named_adapters(self, name: str, entry: ModelSettings, root: Path) -> list[FoundAdapter]:
        """Those that the settings give this model, and those in its folder outside the root."""
        found = []
        for adapter, given in entry.adapters.items():
            path = given.expanduser().resolve()
            one = self._adapter(path, None)
            if not path.is_dir():
                one = replace(one, folder=AdapterFolder(fault=f"there is no folder {path}"))
            found.append(replace(one, place=adapter, owner=name))
        elsewhere = entry.path.expanduser().resolve() if entry.path is not None else root
        if not elsewhere.is_relative_to(root) and elsewhere.is_dir():
            # Its files may be links, as the Hugging Face cache's are.
            found += [self._adapter(one.path, None) for one in walk(elsewhere) if one.is_adapter]
        return found

    # --- specs --------------------------------------------------------------------------------

    def _spec(
        self,
        model_id: str,
        parts: list[Path],
        there: dict[Path, _File],
        entry: ModelSettings | None,
    ) -> ModelSpec:
        files = [there[part] for part in parts if part in there]
        faults = [
            f"{part.path.name}: {part.fault}" if len(parts) > 1 else part.fault
            for part in files
            if part.fault
        ]
        missing = [part.name for part in parts if part not in there]
        if missing:
            faults.append(f"parts of the model are missing: {', '.join(missing)}")
        return self._made(
            model_id,
            entry,
            path=str(files[0].path),
            size=sum(file.size for file in files),
            created=max(file.mtime_ns for file in files) // 10**9,
            fault="; ".join(faults) or None,
            facts=vision_half.with_eye(
                gguf.whole([file.found for file in files]),
                files[0].path,
                entry.engine_args.get("mmproj") if entry else None,
            ),
        )

    def _folder_spec(
        self, model_id: str, path: Path, folder: ModelFolder, entry: ModelSettings | None
    ) -> ModelSpec:
        return self._made(
            model_id,
            entry,
            model_format=folder.format,
            path=str(path),
            size=folder.size,
            created=folder.mtime_ns // 10**9,
            quantisation=folder.quantisation,
            fault=folder.fault,
            facts=folder.facts,
        )

    def _named(self, name: str, entry: ModelSettings, root: Path) -> ModelSpec:
        """An entry of the settings that is not found under its own name by the scan."""
        if entry.engine == "fake":
            return self._made(name, entry, model_format="fake", path="")
        if entry.path is None:
            fault = (
                f"there is no file {name}.gguf and no model folder {name} in {root}, and the"
                " settings give no path"
            )
            return self._made(name, entry, path="", fault=fault)
        path = entry.path.expanduser().resolve()
        if path.is_dir():
            content = hf_folder.list_files(path)
            if hf_folder.is_model(content):
                folder = self._folder(path, content, within=None)
                return self._folder_spec(name, path, folder, entry)
            fault = f"{path} is a folder without a model: no config.json with *.safetensors in it"
            return self._made(name, entry, path=str(path), fault=fault)
        files: dict[Path, _File] = {}
        for part in gguf_names.parts(path):
            file = self._file(part)
            if file is not None:
                files[part] = file
        if path not in files:
            fault = f"there is no file {path}"
            return self._made(name, entry, path=str(path), fault=fault)
        return self._spec(name, gguf_names.parts(path), files, entry)

    def _made(
        self,
        model_id: str,
        entry: ModelSettings | None,
        *,
        path: str,
        model_format: Literal["gguf", "hf", "mlx", "fake"] = "gguf",
        size: int = 0,
        created: int = 0,
        quantisation: str | None = None,
        fault: str | None = None,
        facts: FileFacts | None = None,
    ) -> ModelSpec:
        traits = ModelTraits(model_format, quantisation, size or None)
        preferences = Preferences(
            engine=(entry.engine if entry else None) or self._settings.inference_engine,
            device=self._settings.device_type,
        )
        try:
            choice = self._choose(traits, preferences)
        except StartupError as error:
            choice = Choice("", "", (error.message,))
            fault = fault or error.message
        given = entry or ModelSettings.model_validate({})
        shared = self._settings.engine_args.get(choice.engine, {})
        options = given.options(
            msgspec.structs.replace(self._settings.options(), engine_args=shared)
        )
        if entry is not None and entry.chat_template is not None:
            template, unread = read_template(entry.chat_template)
            options = msgspec.structs.replace(options, chat_template=template)
            fault = fault or unread
        return ModelSpec(
            id=model_id,
            path=path,
            format=model_format,
            engine=choice.engine,
            device=choice.device,
            engine_reason=choice.reason,
            size_bytes=size,
            created=created,
            options=options,
            fault=fault,
            facts=facts,
            estimate=None if facts is None else self._estimate(facts, options, choice),
            aliases=tuple(given.aliases),
            serving=given.serving(
                ttl_s=self._settings.ttl, shrink_context=self._settings.shrink_context
            ),
            binding=given.binding(),
        )

    def _estimate(
        self, facts: FileFacts, options: EngineOptions, choice: Choice
    ) -> Estimate | None:
        memory = memory_estimate.memory_of(self._machine, choice.engine, choice.device)
        return memory_estimate.estimate(facts, options, choice.engine, choice.device, memory)
