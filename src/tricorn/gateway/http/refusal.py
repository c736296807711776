"""What gunicorn cannot read as a request, refused in the form that OpenAI's clients read.

Nothing of what was sent is repeated: it may hold a key.
"""

from __future__ import annotations

import contextlib
from http import HTTPStatus
from typing import Any

import orjson
from gunicorn import util
from gunicorn.http import errors

from tricorn.gateway.guard.security_headers import PLAIN

_KINDS: dict[type[Exception], tuple[HTTPStatus, str, str]] = {
    errors.LimitRequestLine: (
        HTTPStatus.REQUEST_URI_TOO_LONG,
        "uri_too_long",
        "The address of this request is too long.",
    ),
    errors.LimitRequestHeaders: (
        HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
        "headers_too_large",
        "This request has too many headers, or too long ones.",
    ),
    errors.ExpectationFailed: (
        HTTPStatus.EXPECTATION_FAILED,
        "expectation_failed",
        "Of the header Expect only 100-continue is known.",
    ),
    errors.UnsupportedTransferCoding: (
        HTTPStatus.NOT_IMPLEMENTED,
        "unsupported_transfer_encoding",
        "Transfer-Encoding must be chunked.",
    ),
}
_MALFORMED = (HTTPStatus.BAD_REQUEST, "bad_request", "This is not a request in HTTP/1.1.")
_OURS = (
    errors.InvalidResponseHeader,
    errors.InvalidResponseHeaderName,
    errors.ConfigurationProblem,
)
"""Told by gunicorn's own classes for what is wrong with requests, but no fault of a client's."""

LINGER_S = 2.0
Answer = tuple[HTTPStatus, str, str]
TOO_SLOW: Answer = (
    HTTPStatus.REQUEST_TIMEOUT,
    "header_timeout",
    "The headers of this request did not come in time (HEADER_TIMEOUT_S).",
)
NOT_HTTPS: Answer = (
    HTTPStatus.BAD_REQUEST,
    "https_required",
    "This port speaks https: begin the address with https://.",
)


def of(error: BaseException) -> Answer | None:
    """Status, code and message; None where the error is not the client's."""
    if not isinstance(error, errors.ParseException) or isinstance(error, _OURS):
        return None
    return _KINDS.get(type(error), _MALFORMED)


def text(answer: Answer) -> bytes:
    """As it is sent on a connection that is closed next."""
    status, code, message = answer
    kind = "server_error" if status >= 500 else "invalid_request_error"
    told = {"message": message, "type": kind, "param": None, "code": code}
    body = orjson.dumps({"error": told})
    lines = [
        f"HTTP/1.1 {status.value} {status.phrase}",
        "Connection: close",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        *(f"{name}: {value}" for name, value in PLAIN),
    ]
    return "\r\n".join([*lines, "", ""]).encode("ascii") + body


def write(sock: Any, answer: Answer) -> None:
    """Send it, and see to it that it arrives."""
    with contextlib.suppress(OSError):
        sock.sendall(text(answer))
        # With unread bytes a close would take the answer away from the client.
        sock.arrival.leftovers(LINGER_S)
        util.close_graceful(sock, LINGER_S)
