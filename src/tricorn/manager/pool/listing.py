"""The models by name: what the catalog found, and what still runs of what is gone from it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tricorn.engines.spec import ModelSpec
from tricorn.errors import ModelNotFound
from tricorn.manager.catalog import adapters
from tricorn.manager.pool.served_model import ServedModel
from tricorn.manager.protocol.model_info import ModelInfo
from tricorn.manager.replicas.restarts import RestartHistory

NAMES_SHOWN = 20


class Listing:
    def __init__(self, *, max_restarts: int, restart_window_s: float) -> None:
        """As `restarts.RestartHistory`."""
        self._bounds = (max_restarts, restart_window_s)
        self._models: dict[str, ServedModel] = {}
        self._aliases: dict[str, str] = {}

    def __iter__(self) -> Iterator[ServedModel]:
        return iter(self._models.values())

    def __len__(self) -> int:
        return len(self._models)

    def get(self, name: str) -> ServedModel | None:
        """By id or alias."""
        return self._models.get(name) or self._models.get(self._aliases.get(name, ""))

    def find(self, name: str) -> tuple[ServedModel | None, str | None]:
        """The model that a request's `model` names, and the adapter where it is `base:adapter`; an
        exact id goes before that."""
        served = self.get(name)
        if served is None and (found := adapters.split(name, self._spec)):
            return self.get(found[0]), found[1]
        return served, None

    def adopt(self, specs: Mapping[str, ModelSpec]) -> bool:
        """Take over what the catalog found; whether that changes anything. Loaded models are left
        as they are."""
        changed = False
        for name, served in list(self._models.items()):
            changed |= served.listed != (name in specs)
            served.listed = name in specs
            self.forget_unlisted(served)
        for model_id, spec in specs.items():
            known = self._models.get(model_id)
            if known is None:
                self._models[model_id] = self._made(spec)
                changed = True
            elif known.spec != spec:
                known.adopt(spec)
                changed = True
        # The first one has an alias, and an id goes before every alias.
        self._aliases = {
            alias: model_id
            for model_id, spec in reversed(list(specs.items()))
            for alias in spec.aliases
        }
        return changed

    def forget_unlisted(self, served: ServedModel) -> None:
        """Drop it where the catalog has it no more and nothing is left of it."""
        if not (served.listed or served.replicas or served.waiting):
            del self._models[served.spec.id]

    def infos(self) -> list[ModelInfo]:
        """Every model and every adapter, by id; where both have the same one, the model."""
        found = {info.id: info for one in self for info in one.adapter_infos()}
        found |= {one.spec.id: one.info() for one in self}
        return [found[name] for name in sorted(found)]

    def not_found(self, name: str) -> ModelNotFound:
        """The error for a request that names it, with the names that there are."""
        whole = [one for one in self if one.listed and not one.spec.fault]
        names = sorted(
            [one.spec.id for one in whole]
            + [info.id for one in whole for info in one.adapter_infos() if not info.fault]
        )
        shown = ", ".join(names[:NAMES_SHOWN]) + (", …" if len(names) > NAMES_SHOWN else "")
        there = f"there are: {shown}" if names else "there are none at all"
        return ModelNotFound(f"the model {name!r} does not exist; {there}", param="model")

    def _spec(self, name: str) -> ModelSpec | None:
        served = self.get(name)
        return served.spec if served is not None else None

    def _made(self, spec: ModelSpec) -> ServedModel:
        max_restarts, window_s = self._bounds
        return ServedModel(spec, RestartHistory(max_restarts=max_restarts, window_s=window_s))
