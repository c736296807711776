"""Which errors routes may answer with. Their statuses and codes are the classes' own."""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus

from tricorn.errors import (
    AuthenticationFailed,
    BodyTooLarge,
    BodyTooSlow,
    Conflict,
    ContextLengthExceeded,
    DeadlineExceeded,
    DownloadFailed,
    EngineGenerateError,
    EngineLost,
    InstanceNotFound,
    InsufficientMemory,
    InsufficientStorage,
    InternalError,
    InvalidRequest,
    ManagerUnavailable,
    ModelLoadFailed,
    ModelNotFound,
    NotAllowed,
    Overloaded,
    PermissionDenied,
    QuotaExceeded,
    RateLimitExceeded,
    RouteNotFound,
    ShuttingDown,
    StorageUnavailable,
    TooManyFailures,
    TooManyRequests,
    TricornError,
    UnsupportedMediaType,
    UnsupportedParameter,
)

Errors = tuple[type[TricornError], ...]

PUBLIC: Errors = (InternalError,)
"""Of a route that needs no key."""
KEYED: Errors = (
    AuthenticationFailed,
    PermissionDenied,
    TooManyFailures,
    StorageUnavailable,
    InternalError,
)
"""Of every other route."""
QUERY: Errors = (InvalidRequest,)
NAMED: Errors = (RouteNotFound,)
"""What stands in the path's place may be part of another path, or of none."""
BODY: Errors = (
    InvalidRequest,
    UnsupportedParameter,
    BodyTooSlow,
    BodyTooLarge,
    UnsupportedMediaType,
)
MANAGER: Errors = (ManagerUnavailable, ShuttingDown)
"""The manager is asked."""
MODEL: Errors = (
    *BODY,
    *MANAGER,
    ContextLengthExceeded,
    ModelNotFound,
    TooManyRequests,
    RateLimitExceeded,
    QuotaExceeded,
    EngineGenerateError,
    EngineLost,
    ModelLoadFailed,
    Overloaded,
    DeadlineExceeded,
    InsufficientMemory,
)
"""A model answers."""
ORDER: Errors = (*MANAGER, *QUERY, *NAMED, ModelNotFound, NotAllowed)
"""The manager is told to do something with a model."""
LOAD: Errors = (
    *ORDER,
    TooManyRequests,
    ModelLoadFailed,
    Overloaded,
    EngineLost,
    InsufficientMemory,
)
PULL: Errors = (*ORDER, Overloaded, DownloadFailed, InsufficientStorage)
INSTANCE: Errors = (*MANAGER, *NAMED, InstanceNotFound)
DELETION: Errors = (*ORDER, Conflict)


def by_status(errors: Iterable[type[TricornError]]) -> dict[int, str]:
    """Each status with its name and the codes that come with it."""
    codes: dict[int, list[str]] = {}
    for error in sorted(set(errors), key=lambda one: one.code):
        codes.setdefault(error.status, []).append(error.code)
    return {
        status: f"{HTTPStatus(status).phrase}: {', '.join(f'`{code}`' for code in found)}"
        for status, found in sorted(codes.items())
    }
