"""Which model an adapter belongs to, and whether a loaded model can take it. Pure.

An adapter belongs to the model in whose folder it lies; else to the one that its configuration
names, by id or by the last part of a path. Those that cannot be used stay visible as entries of
their own, with their fault.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from tricorn.engines.spec import Adapter, LoadedModel, ModelSpec
from tricorn.errors import UnsupportedParameter
from tricorn.manager.catalog.adapter_folder import AdapterFolder

ENGINES = frozenset({"vllm", "fake"})
"""Those that can have the capability `adapters`: with any other a request is refused before a model
is loaded for it."""
SUBFOLDER = "adapters/"
SHOWN = 3


@dataclass(frozen=True)
class FoundAdapter:
    path: Path
    folder: AdapterFolder
    place: str
    """Its path below the root, with /; its name where the settings give one."""
    owner: str | None = None
    """The model that the settings name it under."""


def engine_fault(spec: ModelSpec) -> str | None:
    """Why this model can have no adapters, as a sentence; None where its engine may take them."""
    if spec.engine in ENGINES or spec.fault is not None:
        return None
    return (
        f"LoRA adapters need the vLLM engine, and {spec.id} is served by {spec.engine}:"
        " use the model as a Hugging Face folder with vLLM, or merge the adapter into it"
    )


def fits(adapter: Adapter, loaded: LoadedModel) -> bool:
    """Whether a loaded model can take it."""
    return loaded.capabilities.adapters and adapter.rank <= loaded.max_adapter_rank


def helped_by_load(adapter: Adapter, loaded_as: ModelSpec) -> bool:
    """Whether it may fit once the model is loaded anew: engines make room for the largest rank that
    they are told of at their load."""
    return adapter.rank > max((one.rank for one in loaded_as.adapters), default=0)


def refusal(model: str, adapter: Adapter, loaded: LoadedModel) -> UnsupportedParameter:
    """For a request for `model`, whose adapter does not fit and will not."""
    if loaded.capabilities.adapters:
        why = f"its rank is {adapter.rank}, and the model takes ranks up to"
        why = f"{why} {loaded.max_adapter_rank}: raise max_lora_rank in the model's engine_args"
    else:
        why = "the model was loaded without LoRA: its engine_args or its architecture forbid it"
    return UnsupportedParameter(f"the adapter of {model} cannot be used: {why}", param="model")


def split(model: str, spec_of: Callable[[str], ModelSpec | None]) -> tuple[str, str] | None:
    """(base, adapter) that `base:adapter` means; None where it means none. Both may hold colons.

    spec_of: the model of an id.
    """
    for colon in re.finditer(":", model):
        base, name = model[: colon.start()], model[colon.end() :]
        spec = spec_of(base)
        if spec is not None and any(adapter.name == name for adapter in spec.adapters):
            return base, name
    return None


def assigned(specs: Mapping[str, ModelSpec], found: Iterable[FoundAdapter]) -> dict[str, ModelSpec]:
    """The models with their adapters, and an entry for each adapter that cannot be used."""
    result = dict(specs)
    faulty: dict[str, ModelSpec] = {}
    for one in sorted(found, key=lambda one: (one.owner is None, one.place)):
        owners, name, fault = _owners(one, result)
        fault = one.folder.fault or fault
        for owner in owners:
            spec = result[owner]
            twice = any(adapter.name == name for adapter in spec.adapters)
            if fault or twice:
                why = fault or f"{owner} has another adapter of the name {name}"
                faulty.setdefault(f"{owner}:{name}", _faulty(f"{owner}:{name}", one, why))
            else:
                adapters = (*spec.adapters, _adapter(name, one))
                result[owner] = msgspec.structs.replace(spec, adapters=adapters)
        if not owners:
            faulty.setdefault(one.place, _faulty(one.place, one, fault or ""))
    usable = {f"{s.id}:{adapter.name}" for s in result.values() for adapter in s.adapters}
    return {name: spec for name, spec in faulty.items() if name not in usable} | result


def _owners(one: FoundAdapter, specs: Mapping[str, ModelSpec]) -> tuple[list[str], str, str | None]:
    """(ids of its models, its name there, why it has none)."""
    if one.owner is not None:
        return [one.owner], one.place, None
    folders = {s.path for s in specs.values() if s.path and Path(s.path) in one.path.parents}
    if folders:
        folder = max(folders, key=len)
        inside = one.path.relative_to(folder).as_posix().removeprefix(SUBFOLDER)
        return [s.id for s in specs.values() if s.path == folder], inside, None
    if above := [name for name in specs if one.place.startswith(f"{name}/")]:
        owner = max(above, key=len)
        return [owner], one.place[len(owner) + 1 :].removeprefix(SUBFOLDER), None
    return _by_name(one, specs)


def _by_name(
    one: FoundAdapter, specs: Mapping[str, ModelSpec]
) -> tuple[list[str], str, str | None]:
    wanted = _last(one.folder.base)
    if not wanted:
        return [], "", "its adapter_config.json does not say for which model it is"
    for names in (
        [s.id for s in specs.values() if s.id in (one.folder.base, wanted)],
        [s.id for s in specs.values() if _last(s.id) == wanted],
        [s.id for s in specs.values() if _last(s.path) == wanted],
    ):
        able = [name for name in names if specs[name].engine in ENGINES and not specs[name].fault]
        chosen = able or names
        if len(chosen) == 1:
            return chosen, one.place, None
        if chosen:
            shown = ", ".join(chosen[:SHOWN]) + (", …" if len(chosen) > SHOWN else "")
            why = f"several models are called {wanted} ({shown}): move it into the folder of one"
            return [], "", why
    why = f"it is an adapter for {one.folder.base}, which is not here: move it into its model's"
    return [], "", f"{why} folder, or name it under the model in tricorn.yaml"


def _last(path: str) -> str:
    return re.split(r"[/\\]", path.rstrip("/\\"))[-1]


def _adapter(name: str, one: FoundAdapter) -> Adapter:
    folder = one.folder
    return Adapter(
        name=name,
        path=str(one.path),
        rank=folder.rank,
        version=folder.version,
        size_bytes=folder.size,
        created=folder.mtime_ns // 10**9,
    )


def _faulty(model_id: str, one: FoundAdapter, fault: str) -> ModelSpec:
    return ModelSpec(
        id=model_id,
        path=str(one.path),
        format="lora",
        engine="",
        engine_reason="",
        size_bytes=one.folder.size,
        created=one.folder.mtime_ns // 10**9,
        fault=f"the adapter cannot be used: {fault}",
    )
