"""Errors that cross process borders."""

from __future__ import annotations

import msgspec
import pytest

from tricorn import errors
from tricorn.errors import ErrorInfo, InternalError, TricornError, from_info


def family(base: type[TricornError]) -> list[type[TricornError]]:
    return [base, *(kind for sub in base.__subclasses__() for kind in family(sub))]


KINDS = [kind for kind in family(TricornError) if kind.__module__ == errors.__name__]
LEAVES = [kind for kind in KINDS if not kind.__subclasses__()]


@pytest.mark.parametrize("kind", LEAVES)
def test_an_error_comes_back_as_itself(kind: type[TricornError]) -> None:
    """Class, message, param and retry time survive the wire."""
    sent = kind("what went wrong", param="top_p", retry_after_s=1.5)
    wire = msgspec.msgpack.encode(sent.info())
    back = from_info(msgspec.msgpack.decode(wire, type=ErrorInfo))
    assert type(back) is kind
    assert (back.message, back.param, back.retry_after_s) == ("what went wrong", "top_p", 1.5)
    assert str(back) == "what went wrong"


def test_codes_are_unique() -> None:
    """No two errors that are raised share a code."""
    codes = [kind.code for kind in LEAVES]
    assert len(codes) == len(set(codes))


def test_statuses_and_types_agree() -> None:
    """A 4xx is the caller's to mend and says so in its type; everything else is a server error."""
    for kind in KINDS:
        expected = "invalid_request_error" if kind.status < 500 else "server_error"
        if kind.status == 429:
            expected = "rate_limit_error"
        assert kind.type == expected, kind


def test_an_unknown_code_is_an_internal_error() -> None:
    """A newer process's error is still an error, with its message."""
    back = from_info(ErrorInfo("from_the_future", "odd"))
    assert type(back) is InternalError
    assert back.message == "odd"
