"""Which permission each route needs. A route that is not named here needs `admin`, so that one that
is forgotten is closed."""

from __future__ import annotations

from dataclasses import dataclass

from tricorn.access.permissions import USING

SAFE = ("GET", "HEAD", "OPTIONS")


@dataclass(frozen=True)
class Requirement:
    permissions: tuple[str, ...] = ()
    """Any of these; empty: any key."""
    public: bool = False
    """Nobody is asked for a key."""
    managing: bool = False
    """Once there are keys, one is needed even where others may come without."""


ANY_KEY = Requirement()
PUBLIC = Requirement(public=True)
READING = Requirement(("models:read",))
MANAGING = Requirement(("models:manage",), managing=True)
ADMIN = Requirement(("admin",), managing=True)
METRICS = Requirement(("metrics", "admin"))

_BY_ENDPOINT = {
    "health.health": PUBLIC,
    "health.about": ANY_KEY,
    "health.ready": ANY_KEY,
    "ollama.generate": Requirement(("completions",)),
    "ollama_models.version": ANY_KEY,
    "management.reload": ADMIN,
    "management.restart_gateway": ADMIN,
    "system.metrics": METRICS,
}
_BY_BLUEPRINT = {
    "chat": Requirement(("chat",)),
    "completions": Requirement(("completions",)),
    "anthropic": Requirement(("chat",)),
    "responses": Requirement(("chat",)),
    "ollama": Requirement(("chat",)),
    "ollama_embed": Requirement(("embeddings",)),
    "embeddings": Requirement(("embeddings",)),
    "ranking": Requirement(("embeddings",)),
    "tokens": Requirement(USING[:3]),
    "models": READING,
    "ollama_models": READING,
    "system": READING,
    "logs": ADMIN,
    "keys": ADMIN,
    "metrics": METRICS,
    "events": Requirement(("models:manage", "admin"), managing=True),
}
_MANAGING = ("management", "ollama_manage", "instances")
"""Who only looks needs to read; whatever changes something, to manage."""


def of(
    endpoint: str | None, method: str, path: str, *, metrics_public: bool, docs_public: bool
) -> Requirement:
    """endpoint: Flask's; None: there is no such route, which only those who have a key are told."""
    if path == "/metrics":
        return PUBLIC if metrics_public else METRICS
    if path == "/openapi.json" or path == "/docs" or path.startswith("/docs/"):
        return PUBLIC if docs_public else ANY_KEY
    if endpoint is None:
        return ANY_KEY
    blueprint = endpoint.rpartition(".")[0]
    if endpoint in _BY_ENDPOINT:
        return _BY_ENDPOINT[endpoint]
    if blueprint in _MANAGING:
        return READING if method in SAFE else MANAGING
    return _BY_BLUEPRINT.get(blueprint, ADMIN)
