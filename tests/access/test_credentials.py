"""Tests of `tricorn.access.credentials`."""

from __future__ import annotations

import pytest
from werkzeug.datastructures import Headers, MultiDict

from tricorn.access.credentials import MAX_LENGTH, find


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"Authorization": "Bearer k"}, "k"),
        ({"authorization": "bearer  k "}, "k"),
        ({"Authorization": "k"}, "k"),
        ({"Authorization": "BEARER\tk"}, "k"),
        ({"Authorization": "Bearer"}, None),
        ({"Authorization": "Basic dTpw"}, None),
        ({"Authorization": "Bearer "}, None),
        ({"X-Api-Key": "k"}, "k"),
        ({"api-key": "k"}, "k"),
        ({"Authorization": "Bearer a", "x-api-key": "b"}, "a"),
        ({"Authorization": "Basic dTpw", "x-api-key": "b"}, "b"),
        ({"x-api-key": "k" * (MAX_LENGTH + 1)}, None),
    ],
)
def test_headers(headers: dict[str, str], expected: str | None) -> None:
    """Each client's own, in any case."""
    assert find(Headers(headers), MultiDict(), in_query=False) == expected


def test_the_query_only_where_it_may() -> None:
    """After the headers."""
    query = MultiDict({"api_key": "q"})
    assert find(Headers(), query, in_query=False) is None
    assert find(Headers(), query, in_query=True) == "q"
    assert find(Headers({"x-api-key": "h"}), query, in_query=True) == "h"
