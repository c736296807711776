"""The model that is loaded at start, and whether Tricorn is ready to serve. Pure."""

from __future__ import annotations

from pathlib import Path

from tricorn.engines.spec import ModelSpec
from tricorn.errors import StartupError
from tricorn.manager.catalog import hf_cache
from tricorn.manager.protocol.model_info import ModelInfo
from tricorn.settings.config import Settings


def pick_default(settings: Settings, specs: dict[str, ModelSpec]) -> str | None:
    """The model to load at start; None where there is none that could be. StartupError where the
    one that was asked for is not there or broken."""
    wanted = settings.default_model
    if wanted is None:
        return next((spec.id for spec in specs.values() if _is_ours(spec, settings)), None)
    spec = specs.get(wanted) or _by_alias(wanted, specs)
    if spec is None:
        there = ", ".join(specs) or "none"
        raise StartupError(
            f"the model {wanted!r} does not exist; there are: {there}"
            f" (looked for in {settings.model_base_path})"
        )
    if spec.fault is not None:
        raise StartupError(f"the model {wanted} cannot be loaded: {spec.fault}")
    return spec.id


def _by_alias(name: str, specs: dict[str, ModelSpec]) -> ModelSpec | None:
    return next((spec for spec in specs.values() if name in spec.aliases), None)


def _is_ours(spec: ModelSpec, settings: Settings) -> bool:
    """It can be served, and was put here for Tricorn: the Hugging Face cache is for others too."""
    cached = Path(spec.path).is_relative_to(hf_cache.folder(settings))
    return spec.fault is None and (spec.id in settings.models or not cached)


def readiness(models: list[ModelInfo], default_model: str | None) -> tuple[bool, str]:
    """Whether a request could be served now, and why not."""
    if any(model.state == "READY" for model in models):
        return True, "ready"
    default = next((model for model in models if model.id == default_model), None)
    if default is not None and default.state in ("LOADING", "FAILED"):
        reason = default.trouble or f"the model {default.id} is loading"
        return False, reason
    if not any(model.fault is None for model in models):
        return False, "there is no model that could be served"
    return True, "models are loaded when they are asked for"
