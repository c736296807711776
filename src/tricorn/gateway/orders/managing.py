"""What the routes that manage models have in common: names in paths, flags, streams, statuses."""

from __future__ import annotations

from typing import Any, TypeVar
from urllib.parse import quote

from flask import Response, request

from tricorn import model_names
from tricorn.errors import InvalidRequest
from tricorn.gateway.answers import respond, sse
from tricorn.gateway.orders import ordering
from tricorn.gateway.requests.incoming import body
from tricorn.gateway.services import services
from tricorn.schemas.request import RequestModel

RequestT = TypeVar("RequestT", bound=RequestModel)

_WORDS = {"true": True, "1": True, "yes": True, "": True, "false": False, "0": False, "no": False}


def parse(kind: type[RequestT]) -> RequestT:
    """The body; a field that nobody knows is refused."""
    call, _ = kind.parse(body(), strict=True)
    return call


def named(name: str) -> str:
    """A model's name out of a path. InvalidRequest where it can be none."""
    try:
        return model_names.checked(name.rstrip("/"))
    except ValueError as error:
        raise InvalidRequest(f"Invalid value for 'model': {error}.", param="model") from error


def is_known(model_id: str) -> bool:
    """Whether a model is called just so."""
    return any(model.id == model_id for model in services().everything().models)


def flag(name: str, *, default: bool) -> bool:
    """Of the query."""
    given = request.args.get(name)
    if given is None:
        return default
    if given.lower() not in _WORDS:
        raise InvalidRequest(
            f"Invalid value for '{name}': must be true or false, got {given[:32]!r}.", param=name
        )
    return _WORDS[given.lower()]


def wants_stream(*, asked: bool = False) -> bool:
    """By the body, the query, or the Accept header."""
    # The first one, where both are as welcome.
    kinds = ["application/json", sse.MIMETYPE]
    by_header = request.accept_mimetypes.best_match(kinds) == sse.MIMETYPE
    return flag("stream", default=asked or by_header)


def carried_out(
    command: str,
    arguments: dict[str, Any],
    *,
    wait: bool,
    stream: bool,
    status: int = 200,
) -> Response:
    """The order's answer: when it is done, or (202) where it will be told, or as it goes on.

    The command takes the argument `wait`.
    """
    wait = flag("wait", default=wait)
    if wants_stream(asked=stream):
        return ordering.streamed(command, {**arguments, "wait": True})
    result = ordering.ordered(command, **arguments, wait=wait)
    return respond.json(result, status=status if wait else 202)


def status_url(model_id: str) -> str:
    return f"/v1/models/{quote(model_id, safe='/:@')}/status"
