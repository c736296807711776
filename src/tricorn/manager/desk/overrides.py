"""Entries of the catalog that are made while Tricorn runs, and outlive it: options given with a
load, and named instances. They stand over those of the settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import structlog
from pydantic import ValidationError

from tricorn.errors import InvalidRequest
from tricorn.settings.config import ModelSettings, Settings
from tricorn.settings.model_settings import ModelDefaults

OPTIONS = "options"
INSTANCE = "instance"

log = structlog.get_logger(part="manager")


class Kept(Protocol):
    @property
    def kind(self) -> str: ...

    @property
    def body(self) -> dict[str, Any]: ...


class Keeper(Protocol):
    """Where they are kept; `storage.manager_memory.ManagerMemory`."""

    def desired(self) -> Mapping[str, Kept]: ...

    def put_desired(self, name: str, kind: str, body: dict[str, Any]) -> None: ...

    def drop_desired(self, name: str) -> bool: ...

    async def saved(self) -> None: ...


class Overrides:
    """keeper: None keeps nothing. `entries` may be called from any thread."""

    def __init__(self, keeper: Keeper | None = None) -> None:
        self._keeper = keeper
        # Never changed in place: a scan in another thread may be reading them.
        self._options: dict[str, dict[str, Any]] = {}
        self._instances: dict[str, dict[str, Any]] = {}
        for key, kept in (keeper.desired() if keeper is not None else {}).items():
            name = key.removeprefix(f"{kept.kind}:")
            if kept.kind == OPTIONS:
                self._options[name] = kept.body
            elif kept.kind == INSTANCE:
                self._instances[name] = kept.body

    def entries(self, settings: Settings) -> dict[str, ModelSettings]:
        """The settings' entries, and these over them."""
        merged = dict(settings.models)
        for name, given in self._options.items():
            self._merge(merged, name, settings, given)
        for name, facts in self._instances.items():
            self._merge(merged, name, settings, facts["settings"])
        return merged

    def options(self, name: str) -> dict[str, Any] | None:
        """What loads have said of a model; None where they have said nothing."""
        return self._options.get(name)

    def set_options(self, name: str, settings: dict[str, Any] | None) -> None:
        """None, or nothing in it: as if no load had ever said anything."""
        others = {key: value for key, value in self._options.items() if key != name}
        self._options = others | ({name: settings} if settings else {})

    def keep_options(self, name: str) -> None:
        """As they are now, beyond the end of this process."""
        self._keep(OPTIONS, name, self._options.get(name))

    def instances(self) -> Mapping[str, dict[str, Any]]:
        """By the id of their entry: what `put_instance` was given."""
        return self._instances

    def put_instance(self, model_id: str, facts: dict[str, Any]) -> None:
        """facts: JSON values; `settings` are its entry's."""
        self._instances = self._instances | {model_id: facts}

    def keep_instance(self, model_id: str) -> None:
        self._keep(INSTANCE, model_id, self._instances.get(model_id))

    def drop_instance(self, model_id: str) -> None:
        self._instances = {k: v for k, v in self._instances.items() if k != model_id}
        self._keep(INSTANCE, model_id, None)

    async def saved(self) -> None:
        """Wait until all that is to be kept outlives this process, as far as it can."""
        if self._keeper is not None:
            await self._keeper.saved()

    def _merge(
        self,
        merged: dict[str, ModelSettings],
        name: str,
        settings: Settings,
        given: Mapping[str, Any],
    ) -> None:
        try:
            entry = over(settings.models.get(name), given)
            entry.over(settings.model_defaults)
            merged[name] = entry
        except ValidationError as error:
            # Kept by another version, or at odds with a tricorn.yaml that has changed.
            log.warning("what a load has said cannot be used", model=name, error=str(error))

    def _keep(self, kind: str, name: str, body: dict[str, Any] | None) -> None:
        if self._keeper is None:
            return
        if body is None:
            self._keeper.drop_desired(f"{kind}:{name}")
        else:
            self._keeper.put_desired(f"{kind}:{name}", kind, body)


def over(entry: ModelSettings | None, given: Mapping[str, Any]) -> ModelSettings:
    """An entry with these settings in place of its own; `engine_args` add up, name by name.

    ValidationError where they cannot be.
    """
    own = {} if entry is None else {name: getattr(entry, name) for name in entry.model_fields_set}
    merged = own | dict(given)
    if own.get("engine_args") and "engine_args" in given:
        merged["engine_args"] = own["engine_args"] | given["engine_args"]
    if given.get("path") is not None:
        merged.pop("repo", None)
    return ModelSettings.model_validate(merged)


def checked(
    entry: ModelSettings | None,
    given: Mapping[str, Any],
    defaults: ModelDefaults,
    named: Callable[[str], str],
) -> None:
    """InvalidRequest where `over`, or the defaults under it, would fail. named: a setting's name →
    the request's field."""
    try:
        over(entry, given).over(defaults)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        param = named(".".join(str(part) for part in first["loc"])) or None
        message = first["msg"].removeprefix("Value error, ")
        told = f"Invalid value for '{param}': {message}." if param else f"{message}."
        raise InvalidRequest(told, param=param) from error
