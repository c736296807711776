"""From the HTTP request being handled to a validated request model, noted in the record."""

from __future__ import annotations

from typing import Any, TypeVar

from flask import request

from tricorn.gateway import record
from tricorn.gateway.body import read_object
from tricorn.gateway.services import services
from tricorn.schemas.request import RequestModel

RequestT = TypeVar("RequestT", bound=RequestModel)


def parse(kind: type[RequestT]) -> RequestT:
    """RequestError where the body or a field of it cannot be used."""
    return validated(kind, body())


def body() -> dict[str, Any]:
    """The JSON object that was sent, for routes whose request model depends on it."""
    sent = read_object(request, services().settings.max_body_bytes)
    model = sent.get("model")
    record.current().model = model[:256] if isinstance(model, str) else None
    return sent


def validated(kind: type[RequestT], sent: dict[str, Any]) -> RequestT:
    """What `body` gave, as that request."""
    call, record.current().ignored = kind.parse(sent, strict=services().settings.strict_fields)
    return call
