"""From the bytes of a request to a JSON object, or the error that says what is wrong with them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
from flask import Request
from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge

from tricorn.errors import BodyTooLarge, BodyTooSlow, InvalidRequest, UnsupportedMediaType
from tricorn.gateway.answers.errors import ClientGone
from tricorn.gateway.http.patience import TooSlow
from tricorn.gateway.requests import inflate

try:
    from gunicorn.http.errors import ParseException
except ImportError:  # where there is no gunicorn

    class ParseException(Exception):  # type: ignore[no-redef]
        """Never raised."""


PIECE_BYTES = 65536


def read_object(request: Request, limit: int, *, any_type: bool = False) -> dict[str, Any]:
    """The JSON object in the body. any_type: whatever type the request says it is of.

    UnsupportedMediaType (415), BodyTooLarge (413: more than `limit` bytes, also when the body comes
    in chunks and names no length, or is compressed), BodyTooSlow (408), InvalidRequest (400).
    ClientGone when it never came whole.
    """
    _check_type(request, any_type=any_type)
    coding = _coding(request)
    data = _read(request, limit, coding)
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


def _coding(request: Request) -> str | None:
    """How the body is compressed; None: it is not."""
    coding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if coding == "identity":
        return None
    if coding not in inflate.CODINGS:
        raise UnsupportedMediaType(
            f"Content-Encoding {coding[:64]!r} is not supported; {inflate.ACCEPTED} are."
        )
    return coding


def _read(request: Request, limit: int, coding: str | None) -> bytes:
    length = request.content_length
    if length is not None and length > limit:
        raise _too_large(limit)
    # A body that comes in chunks is cut at this length without a word: one byte more tells.
    request.max_content_length = limit + 1
    came = 0

    def pieces() -> Iterator[bytes]:
        nonlocal came
        while piece := request.stream.read(PIECE_BYTES):
            came += len(piece)
            if came > limit:
                raise _too_large(limit)
            yield piece

    try:
        if coding is not None:
            return inflate.inflated(pieces(), coding, limit)
        data = b"".join(pieces())
    except (RequestEntityTooLarge, inflate.TooMuch) as error:
        raise _too_large(limit) from error
    except ParseException as error:
        raise InvalidRequest("The chunks of the request body are malformed.") from error
    except (ClientDisconnected, OSError) as error:
        if isinstance(error, TooSlow) or isinstance(error.__context__, TooSlow):
            raise BodyTooSlow(
                "The request body did not come in time (BODY_TIMEOUT_S, MIN_TRANSFER_RATE)."
            ) from error
        raise ClientGone from error
    if length is not None and came < length:
        raise ClientGone
    return data


def _too_large(limit: int) -> BodyTooLarge:
    return BodyTooLarge(f"The request body is larger than {limit} bytes (MAX_BODY_BYTES).")
