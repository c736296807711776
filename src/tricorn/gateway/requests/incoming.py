"""From the HTTP request being handled to a validated request model, noted in the record."""

from __future__ import annotations

from typing import Any, TypeVar

from flask import request

from tricorn.gateway import record
from tricorn.gateway.orders import pinned
from tricorn.gateway.requests import message_count
from tricorn.gateway.requests.body import read_object
from tricorn.gateway.services import services
from tricorn.schemas.request import RequestModel

RequestT = TypeVar("RequestT", bound=RequestModel)


def parse(kind: type[RequestT], *, curl: bool = False) -> RequestT:
    """RequestError where the body or a field of it cannot be used. curl: as in `body`."""
    return validated(kind, body(curl=curl))


def body(*, curl: bool = False) -> dict[str, Any]:
    """The JSON object that was sent, for routes whose request model depends on it.

    curl: also as the form data that curl calls it when it is not told otherwise. Not from a page in
    a browser, which could send that to any server without being asked whether it may.
    """
    sent = read_object(
        request,
        services().settings.max_body_bytes,
        any_type=curl and "Origin" not in request.headers,
    )
    message_count.check(sent, services().settings.max_messages)
    sent = pinned.with_model(sent)
    model = sent.get("model")
    record.current().model = model[:256] if isinstance(model, str) else None
    return sent


def validated(kind: type[RequestT], sent: dict[str, Any]) -> RequestT:
    """What `body` gave, as that request."""
    call, record.current().ignored = kind.parse(sent, strict=services().settings.strict_fields)
    return call
