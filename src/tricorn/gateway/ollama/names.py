"""Models' names in Ollama's API, where every name has a tag: `NAME` is `NAME:latest`.

Its clients add the tag by themselves and look for it in the list. Here a colon belongs to an
adapter (`MODEL:ADAPTER`), or to an id that happens to have one; such names are left as they are.
"""

from __future__ import annotations

from collections.abc import Iterable

from tricorn.gateway.services import services

LATEST = ":latest"


def meant(name: str) -> str:
    """The id that a request's name stands for. ManagerUnavailable while nothing is known."""
    return resolve(name, (model.id for model in services().snapshot().models))


def resolve(name: str, known: Iterable[str]) -> str:
    """`NAME` for `NAME:latest`, unless there is a model or an adapter of just that name."""
    if not name.endswith(LATEST) or name in known:
        return name
    return name.removesuffix(LATEST)


def listed(model_id: str, known: Iterable[str]) -> str:
    """How a list shows it, so that `resolve` gives it back."""
    tagged = model_id + LATEST
    return model_id if ":" in model_id or tagged in known else tagged
