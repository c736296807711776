"""Other names of models: which of them count, where several models ask for the same. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from tricorn.engines.spec import ModelSpec


def settled(specs: Mapping[str, ModelSpec], order: Iterable[str]) -> dict[str, ModelSpec]:
    """The models with the aliases that are theirs alone, and a warning for each that is not.

    A model's id goes before any alias, an adapter's name likewise; among aliases the first counts.

    order: of the models that have aliases, by id: as the settings name them.
    """
    result = dict(specs)
    owners = {name: f"{name} is a model" for name in specs}
    for spec in specs.values():
        for adapter in spec.adapters:
            owners.setdefault(f"{spec.id}:{adapter.name}", f"it is an adapter of {spec.id}")
    for name in order:
        if name not in result:
            continue
        spec = result[name]
        kept, warnings = [], list(spec.warnings)
        for alias in dict.fromkeys(spec.aliases):
            if alias == name:
                continue
            if taken := owners.get(alias):
                warnings.append(f"the alias {alias} of {name} does not count: {taken} already")
            else:
                owners[alias] = f"it is an alias of {name}"
                kept.append(alias)
        result[name] = msgspec.structs.replace(spec, aliases=tuple(kept), warnings=tuple(warnings))
    return result
