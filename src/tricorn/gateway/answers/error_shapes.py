"""How each API family writes an error into a body. Which family it is, the path tells: also an
unknown path or a wrong method gets the shape that its client can read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tricorn.errors import (
    ContextLengthExceeded,
    ManagerUnavailable,
    Overloaded,
    ShuttingDown,
    TricornError,
)
from tricorn.gateway import record

Shape = Callable[[TricornError], dict[str, Any]]


def openai(error: TricornError) -> dict[str, Any]:
    """`param` is there even when null, `code` is always a string."""
    return {
        "error": {
            "message": error.message,
            "type": error.type,
            "param": error.param,
            "code": error.code,
        }
    }


_ANTHROPIC_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
}
"""Other statuses from 500 on are an api_error, those below an invalid_request_error."""
_LATER = (Overloaded, ManagerUnavailable, ShuttingDown)


_ANTHROPIC_NAMES = {
    "thinking_budget": "thinking.budget_tokens",
    "continue_final_message": "messages",
}
"""What the engine worker calls by the names that chat completions have for it."""


def anthropic(error: TricornError, request_id: str | None = None) -> dict[str, Any]:
    """`param` and `code` as in OpenAI's. request_id: needed where no request is being handled, as
    in a stream."""
    other = "api_error" if error.status >= 500 else "invalid_request_error"
    if isinstance(error, _LATER):
        other = "overloaded_error"
    message, param = error.message, error.param
    if param in _ANTHROPIC_NAMES:
        param = _ANTHROPIC_NAMES[param]
        message = message.replace(str(error.param), param)
    if isinstance(error, ContextLengthExceeded):
        # By these words Claude Code knows that it has to shorten the conversation.
        message = f"prompt is too long: {message}"
    return {
        "type": "error",
        "error": {
            "type": _ANTHROPIC_TYPES.get(error.status, other),
            "message": message,
            "param": param,
            "code": error.code,
        },
        "request_id": request_id or record.current().request_id,
    }


def ollama(error: TricornError) -> dict[str, Any]:
    """The message alone."""
    return {"error": error.message}


_BY_PATH: dict[str, Shape] = {
    "/api": ollama,
    "/v1/messages": anthropic,
}
"""A path and all below it → the shape."""


def of(path: str, *, to_anthropic: bool = False) -> Shape:
    """OpenAI's, unless the path belongs to another family.

    to_anthropic: the client is Anthropic's, which matters where the path belongs to no family.
    """
    for root, shape in _BY_PATH.items():
        if path == root or path.startswith(root + "/"):
            return shape
    return anthropic if to_anthropic else openai
