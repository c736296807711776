"""What is said of one route."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import BaseModel

from tricorn.errors import TricornError
from tricorn.schemas.request import RequestModel

JSON = "application/json"
SSE = "text/event-stream"
NDJSON = "application/x-ndjson"
MODEL = "my-model"
"""The model's name in examples."""

Method = Literal["get", "post", "patch", "delete"]
Contents = Mapping[str, tuple[type[BaseModel], ...]]
"""Media type → what one answer, one event or one line is; several: one of them; none: text."""


@dataclass(frozen=True)
class Parameter:
    """Of the query, or a header."""

    name: str
    about: str
    schema: Mapping[str, Any] = field(default_factory=lambda: {"type": "string"})
    place: Literal["query", "header"] = "query"


@dataclass(frozen=True)
class Answer:
    """One that is no error."""

    contents: Contents
    about: str = "As asked."
    status: int = 200
    done: bool = False
    """A stream ends with `data: [DONE]`, or with an error."""


def json(*models: type[BaseModel], about: str = "As asked.", status: int = 200) -> Answer:
    return Answer({JSON: models}, about, status)


def json_or_stream(
    whole: type[BaseModel],
    part: type[BaseModel],
    *,
    kind: str = SSE,
    about: str = "",
    done: bool = False,
) -> Answer:
    """kind: of a stream's parts."""
    text = about or "The answer as one object; with `stream` as events with one object each."
    return Answer({JSON: (whole,), kind: (part,)}, text, done=done)


@dataclass(frozen=True)
class Operation:
    """What is said of a route."""

    method: Method
    path: str
    """As OpenAPI writes it: `/v1/models/{model}`."""
    id: str
    """What generated clients call it."""
    summary: str
    answers: tuple[Answer, ...]
    errors: tuple[type[TricornError], ...]
    """Beside those that every route may answer with."""
    about: str = ""
    body: tuple[type[RequestModel], ...] = ()
    """What the body is; several: one of them."""
    examples: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Bodies that work, by what they show."""
    parameters: tuple[Parameter, ...] = ()


@dataclass(frozen=True)
class Family:
    """Routes that belong together."""

    name: str
    about: str
    operations: tuple[Operation, ...]
