"""`/admin/keys`: what a key is made or changed with. A field that nobody knows is refused."""

from __future__ import annotations

import time
from collections.abc import Collection
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from tricorn.access.permissions import PERMISSIONS
from tricorn.access.terms import FIELDS, MAX_NAME, MAX_PATTERNS, Terms, terms
from tricorn.schemas.fields import (
    Integer,
    Number,
    String,
    bad_value,
    inside,
    one_of,
    to_str,
    wrong_type,
)
from tricorn.schemas.request import RequestModel

MAX_COUNT = 2**53 - 1
MAX_PATTERN = 256
DEFAULT = Terms()


def _name(value: str) -> str:
    if not value.strip() or len(value) > MAX_NAME or not value.isprintable():
        raise bad_value(f"must have 1 to {MAX_NAME} characters, without control characters")
    return value


def _strings(value: object) -> list[str]:
    if not isinstance(value, list):
        raise wrong_type("an array of strings", value)
    return [to_str(item) for item in value]


def _permissions(value: list[str]) -> list[str]:
    if not value:
        raise bad_value("name at least one")
    for at, one in enumerate(value):
        if one not in PERMISSIONS:
            text = f"must be one of {', '.join(PERMISSIONS)}, got {one[:64]!r}"
            raise inside(bad_value(text), at)
    return value


def _patterns(value: list[str]) -> list[str]:
    if len(value) > MAX_PATTERNS:
        raise bad_value(f"at most {MAX_PATTERNS} patterns, got {len(value)}")
    for at, one in enumerate(value):
        if not 0 < len(one) <= MAX_PATTERN:
            raise inside(bad_value(f"a pattern has 1 to {MAX_PATTERN} characters"), at)
    return value


def _future(value: float) -> float:
    if value <= time.time():
        raise bad_value("is over already: give Unix seconds of a time to come")
    return value


Name = Annotated[String, AfterValidator(_name)]
Permissions = Annotated[list[str], AfterValidator(_permissions), BeforeValidator(_strings)]
Patterns = Annotated[list[str], AfterValidator(_patterns), BeforeValidator(_strings)]
Count = Annotated[Integer, Field(ge=1, le=MAX_COUNT)]
Expiry = Annotated[Number, AfterValidator(_future)]


class _KeyFields(RequestModel):
    permissions: Permissions | None = None
    models: Patterns | None = None
    requests_per_minute: Count | None = None
    tokens_per_minute: Count | None = None
    concurrent_requests: Count | None = None
    weight: Annotated[Number, Field(ge=0.01, le=100)] | None = None
    daily_tokens: Count | None = None
    monthly_tokens: Count | None = None
    reasoning_field: Annotated[str, one_of(("both", "reasoning_content", "reasoning"))] | None = (
        None
    )
    expires: Expiry | None = None
    """Unix seconds."""

    def terms(self, before: Terms = DEFAULT, cleared: Collection[str] = ()) -> Terms:
        """What was given, over what held before. cleared: those that are as by default again."""
        values = {name: getattr(DEFAULT if name in cleared else before, name) for name in FIELDS}
        for name in FIELDS:
            given = getattr(self, name)
            if given is not None:
                values[name] = given
        return terms(values)


class KeyRequest(_KeyFields):
    """`POST /admin/keys`"""

    name: Name


class KeyChange(_KeyFields):
    """`PATCH /admin/keys/{id}`: what is not given stays; what is null is as it is by default."""

    name: Name | None = None
