"""From the bytes of a request to a JSON object, or the error that says what is wrong with them."""

from __future__ import annotations

from typing import Any

import orjson
from flask import Request
from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge

from tricorn.errors import BodyTooLarge, InvalidRequest, UnsupportedMediaType
from tricorn.gateway.errors import ClientGone


def read_object(request: Request, limit: int, *, any_type: bool = False) -> dict[str, Any]:
    """The JSON object in the body. any_type: whatever type the request says it is of.

    UnsupportedMediaType (415), BodyTooLarge (413: more than `limit` bytes, also when the body comes
    in chunks and names no length), InvalidRequest (400). ClientGone when it never came whole.
    """
    _check_type(request, any_type=any_type)
    data = _read(request, limit)
    if not data.strip():
        raise InvalidRequest("The request body is empty; expected a JSON object.")
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        # orjson reports nesting beyond 1024 levels as a decode error as well.
        raise InvalidRequest(f"The request body is not valid JSON: {error}.") from error
    if not isinstance(value, dict):
        raise InvalidRequest("The request body must be a JSON object.")
    return value


def _check_type(request: Request, *, any_type: bool) -> None:
    kind = request.mimetype
    # Hand-made clients leave the header out; anything that names another type means it.
    if kind and kind != "application/json" and not kind.endswith("+json") and not any_type:
        raise UnsupportedMediaType(f"Content-Type must be application/json, got {kind!r}.")
    charset = request.mimetype_params.get("charset", "utf-8").lower()
    if charset not in ("utf-8", "utf8", "us-ascii"):
        raise UnsupportedMediaType(f"The request body must be UTF-8, got {charset!r}.")
    encoding = request.headers.get("Content-Encoding", "identity").lower()
    if encoding != "identity":
        raise UnsupportedMediaType(f"Content-Encoding {encoding!r} is not supported.")


def _read(request: Request, limit: int) -> bytes:
    if request.content_length is not None and request.content_length > limit:
        raise _too_large(limit)
    # A body that comes in chunks is cut at this length without a word: one byte more tells.
    request.max_content_length = limit + 1
    try:
        data = request.get_data(cache=False)
    except RequestEntityTooLarge as error:
        raise _too_large(limit) from error
    except (ClientDisconnected, OSError) as error:
        raise ClientGone from error
    if len(data) > limit:
        raise _too_large(limit)
    return data


def _too_large(limit: int) -> BodyTooLarge:
    return BodyTooLarge(f"The request body is larger than {limit} bytes (MAX_BODY_BYTES).")
