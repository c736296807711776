"""Where a request carries its key. Pure."""

from __future__ import annotations

from typing import Protocol

HEADERS = ("x-api-key", "api-key")
"""Anthropic's clients, and Azure's way."""
QUERY = "api_key"
MAX_LENGTH = 8192
"""A longer one is none; JWTs have hundreds."""


class Named(Protocol):
    """Headers, or a query; names of headers in any case are their own matter."""

    def get(self, name: str, default: str, /) -> str: ...


def find(headers: Named, query: Named, *, in_query: bool) -> str | None:
    """The first that there is; None where it brings none.

    in_query: whether `?api_key=` is looked at.
    """
    scheme, *rest = headers.get("Authorization", "").split(None, 1) or [""]
    # Some clients leave the scheme out.
    bearer = "".join(rest) if scheme.lower() == "bearer" else "" if rest else scheme
    given = [bearer, *(headers.get(name, "") for name in HEADERS)]
    if in_query:
        given.append(query.get(QUERY, ""))
    found = next((one.strip() for one in given if one.strip()), None)
    return found if found is not None and len(found) <= MAX_LENGTH else None
