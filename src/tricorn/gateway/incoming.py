"""From the HTTP request being handled to a validated request model, noted in the record."""

from __future__ import annotations

from typing import TypeVar

from flask import request

from tricorn.gateway import record
from tricorn.gateway.body import read_object
from tricorn.gateway.services import services
from tricorn.schemas.sampling import GenerationRequest

RequestT = TypeVar("RequestT", bound=GenerationRequest)


def parse(kind: type[RequestT]) -> RequestT:
    """RequestError where the body or a field of it cannot be used."""
    settings = services().settings
    facts = record.current()
    body = read_object(request, settings.max_body_bytes)
    model = body.get("model")
    facts.model = model[:256] if isinstance(model, str) else None
    call, facts.ignored = kind.parse(body, strict=settings.strict_fields)
    return call
