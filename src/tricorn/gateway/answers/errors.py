"""The one place where an error becomes an HTTP answer, in the shape of the API that was called."""

from __future__ import annotations

import math

import orjson
import structlog
from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException
from werkzeug.exceptions import MethodNotAllowed as WerkzeugMethodNotAllowed
from werkzeug.exceptions import NotFound as WerkzeugNotFound

from tricorn.errors import (
    AuthenticationFailed,
    DeadlineExceeded,
    InternalError,
    InvalidRequest,
    MethodNotAllowed,
    ModelNotFound,
    RouteNotFound,
    TricornError,
)
from tricorn.gateway import record
from tricorn.gateway.answers import error_shapes
from tricorn.gateway.guard import access

log = structlog.get_logger(part="gateway")

CLIENT_GONE_STATUS = 499
"""nginx's number for it; only the log sees it."""


LONGEST_MESSAGE = 2000
"""Characters; messages repeat what was sent, which may be anything."""


class ClientGone(Exception):
    """The client closed its connection. Not a TricornError: there is nobody to answer."""


def answer(error: TricornError) -> Response:
    if len(error.message) > LONGEST_MESSAGE:
        error.message = f"{error.message[:LONGEST_MESSAGE]}…"
    shape = error_shapes.of(request.path, to_anthropic="anthropic-version" in request.headers)
    response = Response(
        orjson.dumps(shape(error)), status=error.status, mimetype="application/json"
    )
    if isinstance(error, AuthenticationFailed):
        response.headers["WWW-Authenticate"] = 'Bearer realm="tricorn"'
    if isinstance(error, DeadlineExceeded):
        # OpenAI's clients would try again by themselves, and take the same time again.
        response.headers["x-should-retry"] = "false"
    if error.retry_after_s is not None:
        response.headers["Retry-After"] = str(max(1, math.ceil(error.retry_after_s)))
    return response


def register(app: Flask) -> None:
    """Answer every error of `app`."""
    app.register_error_handler(TricornError, _tricorn_error)
    app.register_error_handler(ClientGone, _client_gone)
    app.register_error_handler(HTTPException, _http_exception)
    app.register_error_handler(Exception, _unexpected)


def _tricorn_error(error: TricornError) -> Response:
    facts = record.current()
    if isinstance(error, ModelNotFound) and access.is_limited():
        # The manager names those that there are, and this key sees some of them only.
        error = ModelNotFound("There is no model of that name.", param=error.param)
    facts.error, facts.param = error.code, error.param
    facts.rate = error.rate or facts.rate
    if error.status >= 500:
        facts.message = error.message
    return answer(error)


def _client_gone(error: ClientGone) -> Response:
    record.current().error = "client_gone"
    return Response(status=CLIENT_GONE_STATUS)


def _http_exception(error: HTTPException) -> Response:
    match error:
        case WerkzeugNotFound():
            return _tricorn_error(
                RouteNotFound(f"Unknown request URL: {request.method} {request.path}.")
            )
        case WerkzeugMethodNotAllowed():
            allowed = ", ".join(sorted(error.valid_methods or ()))
            response = _tricorn_error(
                MethodNotAllowed(
                    f"{request.method} is not allowed on {request.path}; allowed: {allowed}."
                )
            )
            response.headers["Allow"] = allowed
            return response
        case _ if error.code is not None and error.code < 400:
            return Response(status=error.code, headers=dict(error.get_headers()))
        case _:
            response = _tricorn_error(InvalidRequest(error.description or error.name))
            response.status_code = error.code or 400
            return response


def _unexpected(error: Exception) -> Response:
    log.exception("request failed", request_id=record.current().request_id)
    return _tricorn_error(
        InternalError(f"Tricorn failed on this request ({record.current().request_id}).")
    )
