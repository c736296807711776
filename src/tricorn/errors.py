"""Every error that Tricorn raises on purpose.

    TricornError
    ├── RequestError                 the caller can mend it (4xx)
    │   ├── InvalidRequest           400  a field is missing, of the wrong type or out of range
    │   ├── UnsupportedParameter     400  a known parameter that this model or version cannot honour
    │   ├── ContextLengthExceeded    400  the prompt fills the context
    │   ├── PreviousResponseNotFound 400  the conversation to continue is not stored
    │   ├── AuthenticationFailed     401  no key, or one that is none (any more)
    │   ├── NotAllowed               403  this server is not set up to do that
    │   ├── PermissionDenied         403  the key may not do that
    │   ├── ModelNotFound            404
    │   ├── InstanceNotFound         404
    │   ├── KeyNotFound              404
    │   ├── ResponseNotFound         404
    │   ├── RouteNotFound            404
    │   ├── MethodNotAllowed         405
    │   ├── Conflict                 409  what is there, or goes on, does not allow it
    │   ├── BodyTooSlow              408
    │   ├── BodyTooLarge             413
    │   ├── UnsupportedMediaType     415
    │   └── TooManyRequests          429  the model is busy, and enough others wait for it already
    │       ├── RateLimitExceeded    429  the key's limits of this minute are used up
    │       ├── QuotaExceeded        429  the key's tokens of this day or month are used up
    │       └── TooManyFailures      429  too many wrong keys came from this address
    ├── ServiceError                 the server's fault or state (5xx)
    │   ├── InternalError            500
    │   ├── EngineGenerateError      500  one request failed inside a healthy engine
    │   ├── EngineLost               503  the engine process died while the request was running
    │   ├── ModelLoadFailed          503
    │   ├── Overloaded               503  a queue is full or a wait took too long
    │   ├── DownloadFailed           502  the hub did not give what was asked for
    │   ├── InsufficientMemory       507  the model can never fit into this machine's memory
    │   ├── InsufficientStorage      507  what is to be downloaded does not fit on the disk
    │   ├── DeadlineExceeded         504  the request took longer than it may
    │   ├── ManagerUnavailable       503
    │   ├── StorageUnavailable       503
    │   └── ShuttingDown             503
    └── StartupError                 Tricorn cannot start as configured (never sent over HTTP)

An error crosses process borders as an `ErrorInfo` and comes back as the same class, found by its
`code`. The gateway turns one into OpenAI's envelope in exactly one place.
"""

from __future__ import annotations

from typing import ClassVar

import msgspec

from tricorn.access.rate import Rate


class ErrorInfo(msgspec.Struct, frozen=True, array_like=True):
    """A `TricornError` on the wire."""

    code: str
    message: str
    param: str | None = None
    retry_after_s: float | None = None
    rate: Rate | None = None


class TricornError(Exception):
    """Base of all. `code` is stable and public; `message` is for people."""

    code: ClassVar[str] = "internal_error"
    status: ClassVar[int] = 500
    type: ClassVar[str] = "server_error"

    def __init__(
        self, message: str, *, param: str | None = None, retry_after_s: float | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.retry_after_s = retry_after_s
        self.rate: Rate | None = None
        """How far the limits of the caller's key are used up, where they are why."""

    def info(self) -> ErrorInfo:
        """The form that is sent to another process."""
        return ErrorInfo(self.code, self.message, self.param, self.retry_after_s, self.rate)


class RequestError(TricornError):
    code = "invalid_request"
    status = 400
    type = "invalid_request_error"


class InvalidRequest(RequestError):
    code = "invalid_value"


class UnsupportedParameter(RequestError):
    code = "unsupported_parameter"


class ContextLengthExceeded(RequestError):
    code = "context_length_exceeded"


class PreviousResponseNotFound(RequestError):
    code = "previous_response_not_found"


class AuthenticationFailed(RequestError):
    code = "invalid_api_key"
    status = 401


class PermissionDenied(RequestError):
    code = "permission_denied"
    status = 403


class NotAllowed(RequestError):
    code = "not_allowed"
    status = 403


class InstanceNotFound(RequestError):
    code = "instance_not_found"
    status = 404


class KeyNotFound(RequestError):
    code = "key_not_found"
    status = 404


class ModelNotFound(RequestError):
    code = "model_not_found"
    status = 404


class ResponseNotFound(RequestError):
    code = "response_not_found"
    status = 404


class RouteNotFound(RequestError):
    code = "not_found"
    status = 404


class MethodNotAllowed(RequestError):
    code = "method_not_allowed"
    status = 405


class Conflict(RequestError):
    code = "conflict"
    status = 409


class BodyTooSlow(RequestError):
    code = "body_timeout"
    status = 408


class BodyTooLarge(RequestError):
    code = "body_too_large"
    status = 413


class UnsupportedMediaType(RequestError):
    code = "unsupported_media_type"
    status = 415


class TooManyRequests(RequestError):
    code = "too_many_requests"
    status = 429
    type = "rate_limit_error"


class RateLimitExceeded(TooManyRequests):
    code = "rate_limit_exceeded"


class QuotaExceeded(TooManyRequests):
    code = "insufficient_quota"


class TooManyFailures(TooManyRequests):
    code = "too_many_failures"


class ServiceError(TricornError):
    code = "service_error"


class InternalError(ServiceError):
    code = "internal_error"


class EngineGenerateError(ServiceError):
    code = "engine_error"


class EngineLost(ServiceError):
    code = "engine_lost"
    status = 503


class ModelLoadFailed(ServiceError):
    code = "model_load_failed"
    status = 503


class Overloaded(ServiceError):
    code = "overloaded"
    status = 503


class DownloadFailed(ServiceError):
    code = "download_failed"
    status = 502


class InsufficientMemory(ServiceError):
    code = "insufficient_memory"
    status = 507


class InsufficientStorage(ServiceError):
    code = "insufficient_storage"
    status = 507


class DeadlineExceeded(ServiceError):
    code = "request_timeout"
    status = 504


class ManagerUnavailable(ServiceError):
    code = "manager_unavailable"
    status = 503


class StorageUnavailable(ServiceError):
    code = "storage_unavailable"
    status = 503


class ShuttingDown(ServiceError):
    code = "shutting_down"
    status = 503


class StartupError(TricornError):
    code = "startup_error"


def _by_code(base: type[TricornError]) -> dict[str, type[TricornError]]:
    found = {base.code: base}
    for sub in base.__subclasses__():
        found.update(_by_code(sub))
    return found


def from_info(info: ErrorInfo) -> TricornError:
    """The error that another process sent; `InternalError` where its code is not known here."""
    kind = _by_code(TricornError).get(info.code, InternalError)
    error = kind(info.message, param=info.param, retry_after_s=info.retry_after_s)
    error.rate = info.rate
    return error
