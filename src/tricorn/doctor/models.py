"""The model files: broken ones by name, and whether there is one to serve."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import TYPE_CHECKING

from tricorn.doctor.check import Check
from tricorn.hardware.facts import Facts
from tricorn.place import Place

if TYPE_CHECKING:
    from tricorn.engines.spec import ModelSpec
    from tricorn.settings.config import Settings

SHOWN = 5
"""Broken models that get a row of their own."""


def scan(settings: Settings, facts: Facts) -> dict[str, ModelSpec]:
    """The catalog as a server on this machine would have it."""
    from tricorn.hardware.choice import choose_engine
    from tricorn.manager.catalog.catalog import Catalog

    return Catalog(settings, functools.partial(choose_engine, facts), facts).scan()


def models(place: Place, facts: Facts) -> Iterator[Check]:
    """A row for each broken one, and one for all the others."""
    settings = place.settings
    if settings is None:
        return
    specs = scan(settings, facts)
    broken = [spec for spec in specs.values() if spec.fault]
    for spec in broken[:SHOWN]:
        wanted = spec.id == settings.default_model
        fix = f"fetch the file again, or remove it: {spec.path}" if spec.path else "tricorn.yaml"
        what = f"{spec.id}: {spec.fault}"
        yield Check("models", "fail" if wanted else "warn", what, fix)
    if len(broken) > SHOWN:
        more = len(broken) - SHOWN
        fix = f"curl the list: /v1/models, or look into {place.models_dir}"
        yield Check("models", "warn", f"{more} more are broken", fix)
    whole = [spec.id for spec in specs.values() if not spec.fault]
    if settings.default_model is not None and settings.default_model not in specs:
        from tricorn.installing import default_model

        if settings.default_model != default_model.SHIPPED.name:
            what = f"DEFAULT_MODEL is {settings.default_model}, and there is no such model"
            there = ", ".join(whole[:SHOWN]) or "none"
            yield Check("models", "fail", what, f"choose one that is there with --model: {there}")
    if whole:
        listed = ", ".join(whole[:SHOWN]) + (", ..." if len(whole) > SHOWN else "")
        yield Check("models", "ok", f"{len(whole)} to serve: {listed}")
    elif not broken:
        what = f"none in {place.models_dir} yet; the first start fetches a small one (98 MB)"
        fix = f"{place.start} --mode dev, or put a model into {place.models_dir}"
        yield Check("models", "warn", what, fix)
