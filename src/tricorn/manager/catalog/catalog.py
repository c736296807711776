"""The catalog: which models there are, found by scanning and in the settings.

A model's id is its path below MODEL_BASE_PATH (a GGUF file's without `.gguf`), the name of its
repository in the Hugging Face cache, or its name under `models:` in tricorn.yaml. A broken model
stays in the catalog with its `fault`, so that people see why it is not served; so does one that no
engine can serve on this machine. A scan opens only what is new or changed, and reads of it what
stands before the weights (`inspected`, `model_facts`).

LoRA adapters are found along with the models and given to those that they belong to (`adapters`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from tricorn import logs
from tricorn.engines.spec import ModelSpec
from tricorn.hardware.facts import Facts
from tricorn.manager.catalog import adapters, aliases, gguf_names, hf_cache, sources
from tricorn.manager.catalog.adapters import FoundAdapter
from tricorn.manager.catalog.inspected import Inspected
from tricorn.manager.catalog.model_files import walk
from tricorn.manager.catalog.sources import Source
from tricorn.manager.catalog.spec_maker import EngineChooser as EngineChooser
from tricorn.manager.catalog.spec_maker import SpecMaker
from tricorn.settings.config import ModelSettings, Settings

Entries = Callable[[Settings], Mapping[str, ModelSettings]]
"""The settings → the entries that hold, with what was added while Tricorn runs."""

log = logs.get("catalog")


class Catalog:
    """Scans on demand. `scan` blocks (milliseconds) and may run in a thread, one at a time."""

    def __init__(
        self,
        settings: Settings,
        choose: EngineChooser,
        machine: Facts | None = None,
        entries: Entries = lambda settings: settings.models,
    ) -> None:
        """machine: what estimates of memory go by; None: nothing is known of it."""
        self._settings = settings
        self._machine = machine or Facts()
        self._choose = choose
        self._entries = entries
        self._seen = Inspected()
        self._told: set[str] = set()

    def configure(self, settings: Settings) -> None:
        """Go by other settings from the next scan on."""
        self._settings = settings

    def scan(self) -> dict[str, ModelSpec]:
        """Every model by id, in the order of their ids; entries of the settings win over files,
        and files in MODEL_BASE_PATH over the Hugging Face cache."""
        settings = self._settings
        self._seen.begin()
        root = settings.model_base_path.resolve()
        found = sources.below(root, self._seen, top=root.name)
        named = {
            name: entry.over(settings.model_defaults)
            for name, entry in self._entries(settings).items()
        }
        cached: dict[str, Source] = {}
        if settings.hf_cache or any(entry.repo for entry in named.values()):
            cached = sources.in_cache(hf_cache.folder(settings), self._seen)
        there = cached | found.sources
        unnamed = ModelSettings.model_validate({}).over(settings.model_defaults)
        maker = SpecMaker(settings, self._choose, self._machine)
        specs = {
            model_id: maker.spec(model_id, source, named.get(model_id, unnamed))
            for model_id, source in (there if settings.hf_cache else found.sources).items()
        }
        loras = found.adapters
        for name, entry in named.items():
            if name not in specs or entry.path or entry.repo or entry.engine == "fake":
                specs[name] = maker.spec(name, self._named(name, entry, there, root), entry)
            loras += self._named_adapters(name, entry, specs[name], root)
        specs = aliases.settled(adapters.assigned(specs, loras), named)
        self._tell(specs)
        return dict(sorted(specs.items()))

    def _named(
        self, name: str, entry: ModelSettings, there: Mapping[str, Source], root: Path
    ) -> Source:
        """Of an entry of the settings that is not found under its own name by the scan."""
        if entry.engine == "fake":
            return Source("", "fake")
        if entry.path is not None:
            return sources.at(entry.path.expanduser().resolve(), self._seen)
        if entry.repo is not None:
            return _of_repository(entry.repo, entry, there, root)
        fault = (
            f"there is no file {name}.gguf and no model folder {name} in {root}, and the"
            " settings give no path"
        )
        return Source("", fault=fault)

    def _named_adapters(
        self, name: str, entry: ModelSettings, spec: ModelSpec, root: Path
    ) -> list[FoundAdapter]:
        """Those that the settings give this model, and those in its folder outside the root."""
        found = [
            self._seen.given_adapter(adapter, given.expanduser().resolve(), name)
            for adapter, given in entry.adapters.items()
        ]
        elsewhere = Path(spec.path) if entry.path is not None and spec.path else root
        if not elsewhere.is_relative_to(root) and elsewhere.is_dir():
            # Its files may be links, as the Hugging Face cache's are.
            below = [one for one in walk(elsewhere) if one.is_adapter]
            found += [self._seen.adapter(one.path, None) for one in below]
        return found

    def _tell(self, specs: Mapping[str, ModelSpec]) -> None:
        """Each warning once, as long as it holds."""
        now = {warning for spec in specs.values() for warning in spec.warnings}
        for spec in specs.values():
            for warning in spec.warnings:
                if warning not in self._told:
                    log.warning(warning, model=spec.id)
        self._told = now


def _of_repository(
    repo: str, entry: ModelSettings, there: Mapping[str, Source], root: Path
) -> Source:
    """The model of a hub id; one with a fault where there is none, or several."""
    name, _, quant = repo.partition(":")
    models = {
        place: source
        for place, source in there.items()
        if place == name or place.startswith(f"{name}/")
    }
    formats = {
        place: source for place, source in models.items() if entry.format in (None, source.format)
    }
    fitting = _of_quant(formats, quant) if quant else formats
    if len(fitting) == 1 or (name in fitting and not quant):
        return fitting.get(name) or next(iter(fitting.values()))
    if fitting:
        kinds = ", ".join(sorted(fitting))
        why = f"{name} has several models ({kinds}): name one by repo: {name}:QUANT, or by format"
        return Source("", fault=why)
    if models and not quant:
        kinds = ", ".join(sorted({source.format for source in models.values()}))
        return Source("", fault=f"{name} has no model of the format {entry.format}, but: {kinds}")
    places = f"{root} and not in the Hugging Face cache"
    return Source("", fault=hf_cache.absent(repo, places))


def _of_quant(models: Mapping[str, Source], quant: str) -> dict[str, Source]:
    """By the ends of their names, as repositories have it; else by what their files say."""
    ends = re.compile(rf"(^|[-._]){re.escape(quant)}$", re.IGNORECASE)
    named = {
        place: source
        for place, source in models.items()
        if source.format == "gguf" and ends.search(gguf_names.model_name(Path(source.path)))
    }
    said = {
        place: source
        for place, source in models.items()
        if (_quantisation(source) or "").lower() == quant.lower()
    }
    return named or said


def _quantisation(source: Source) -> str | None:
    return source.quantisation or (source.facts.quantisation if source.facts else None)
