"""All routes, one file an API family, in the order in which they are shown."""

from __future__ import annotations

from tricorn.gateway.openapi.families import (
    anthropic,
    instances,
    keys,
    management,
    models,
    ollama,
    openai,
    pooling,
    responses,
    service,
    tokens,
)

FAMILIES = (
    openai.FAMILY,
    responses.FAMILY,
    anthropic.FAMILY,
    pooling.FAMILY,
    tokens.FAMILY,
    models.FAMILY,
    ollama.FAMILY,
    management.FAMILY,
    instances.FAMILY,
    keys.FAMILY,
    service.FAMILY,
)
