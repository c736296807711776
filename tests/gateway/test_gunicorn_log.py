"""Tests of `tricorn.gateway.http.gunicorn_log`."""

from __future__ import annotations

import os

import pytest

if os.name != "posix":
    pytest.skip("gunicorn runs on posix", allow_module_level=True)

from gunicorn.http.errors import NoMoreData

from tricorn.gateway.http.gunicorn_log import _text


def test_what_clients_have_sent_is_not_shown() -> None:
    """A key may be in an address, and in half a request."""
    found = _text("Ignored premature client disconnection. %s", (NoMoreData(b"x-api-key: geheim"),))
    assert found == "Ignored premature client disconnection. No more data after"
    found = _text("Error handling request %s %s", ("GET", "/v1/models?api_key=sk-geheim"))
    assert found == "Error handling request GET /v1/models"
    assert _text("Why? %s", ("because",)) == "Why? because"
