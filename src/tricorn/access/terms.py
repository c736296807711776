"""What a key stands for: what may be done with it, and how much. Pure.

The same names are a key's fields in `/admin/keys` and the claims of a JWT.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from tricorn.access import permissions

MAX_NAME = 128
MAX_PATTERNS = 256

Count = Annotated[int, msgspec.Meta(ge=1, lt=2**53)]
Weight = Annotated[float, msgspec.Meta(ge=0.01, le=100)]
Pattern = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
ReasoningField = Literal["both", "reasoning_content", "reasoning"]


class Allowance(msgspec.Struct, frozen=True, array_like=True):
    """How much; None: as much as there is. Sent to the manager with each request."""

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    """Of prompts and answers together."""
    concurrent_requests: int | None = None
    weight: float = 1.0
    """Of its turn where several keys wait for a model."""
    daily_tokens: int | None = None
    """Of a day, UTC."""
    monthly_tokens: int | None = None
    """Of a calendar month, UTC."""

    def limits_tokens(self) -> bool:
        """Whether it matters how many a request may take."""
        limits = (self.tokens_per_minute, self.daily_tokens, self.monthly_tokens)
        return any(limit is not None for limit in limits)


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """Made by `terms`, which looks at the values."""

    permissions: tuple[str, ...] = permissions.USING
    models: Annotated[tuple[Pattern, ...], msgspec.Meta(max_length=MAX_PATTERNS)] = ()
    """Patterns of the models that may be used; empty: all."""
    requests_per_minute: Count | None = None
    tokens_per_minute: Count | None = None
    concurrent_requests: Count | None = None
    weight: Weight = 1.0
    daily_tokens: Count | None = None
    monthly_tokens: Count | None = None
    reasoning_field: ReasoningField | None = None
    """As the setting of that name, which holds where this is None."""

    def __post_init__(self) -> None:
        if not self.permissions:
            raise ValueError("permissions: name at least one")
        for one in self.permissions:
            if one not in permissions.PERMISSIONS:
                known = ", ".join(permissions.PERMISSIONS)
                raise ValueError(f"permissions: there is no {one[:64]!r}; there are: {known}")

    def allowance(self) -> Allowance:
        return Allowance(
            self.requests_per_minute,
            self.tokens_per_minute,
            self.concurrent_requests,
            self.weight,
            self.daily_tokens,
            self.monthly_tokens,
        )


FIELDS = Terms.__struct_fields__


def terms(values: dict[str, Any]) -> Terms:
    """Of JSON values; other names are not looked at. ValueError says what is wrong."""
    try:
        return msgspec.convert({name: values[name] for name in FIELDS if name in values}, Terms)
    except msgspec.ValidationError as error:
        raise ValueError(str(error)) from error


class Identity(msgspec.Struct, frozen=True):
    """Whose request it is."""

    key_id: str
    name: str
    terms: Terms

    def may(self, *wanted: str) -> bool:
        """Any of these."""
        return permissions.holds(self.terms.permissions, wanted)

    def may_use(self, *names: str) -> bool:
        """A model that is called so, by each of its names."""
        return permissions.matches(self.terms.models, names)
