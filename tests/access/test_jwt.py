"""Tests of `tricorn.access.jwt`."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import math
from typing import Any

import pytest

from tricorn.access.jwt import BadToken, identity, looks_like_one, signed

SECRET = b"s" * 32
NOW = 1_000_000.0
RFC_7515_A1 = (
    "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9"
    ".eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
    ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
)
RFC_SECRET = (
    "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow=="
)


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def token(header: Any, claims: Any, secret: bytes = SECRET) -> str:
    """Signed rightly, whatever it says."""
    parts = [part if isinstance(part, bytes) else json.dumps(part).encode()
             for part in (header, claims)]  # fmt: skip
    text = ".".join(map(encoded, parts))
    return f"{text}.{encoded(hmac.new(secret, text.encode(), hashlib.sha256).digest())}"


def test_a_good_one() -> None:
    """Its claims are the fields of a key; without permissions it uses models."""
    claims = {"sub": "ann", "exp": NOW + 60, "nbf": NOW, "models": ["a*"], "daily_tokens": 5}
    made = signed(claims, SECRET)
    assert looks_like_one(made)
    found = identity(made, SECRET, NOW)
    assert (found.key_id, found.name) == ("jwt:ann", "ann")
    assert found.terms.models == ("a*",)
    assert found.terms.daily_tokens == 5
    assert found.may("chat")
    assert not found.may("admin")


def test_the_example_of_the_standard() -> None:
    """RFC 7515, A.1: its signature is right; it expired in 2011."""
    secret = base64.urlsafe_b64decode(RFC_SECRET)
    with pytest.raises(BadToken, match="expired"):
        identity(RFC_7515_A1, secret, NOW * 1500)
    with pytest.raises(BadToken, match="sub"):
        identity(RFC_7515_A1, secret, NOW)


HS256 = {"alg": "HS256", "typ": "JWT"}
GOOD = {"sub": "a", "exp": NOW + 60}


@pytest.mark.parametrize(
    ("made", "why"),
    [
        (signed(GOOD, b"t" * 32), "signature"),
        (signed(GOOD, SECRET)[:-2], "base64url|signature"),
        (signed(GOOD, SECRET) + ".x", "three parts"),
        ("eyJé.a.b", "three parts"),
        (token({"alg": "none"}, GOOD), "HS256"),
        (token({"alg": "hs256"}, GOOD), "HS256"),
        (token({"alg": "HS512"}, GOOD), "HS256"),
        (token({}, GOOD), "HS256"),
        (token(HS256 | {"crit": ["b64"]}, GOOD), "HS256"),
        (f"{encoded(b'{}')}.{encoded(b'{}')}.", "signature"),
        (token(HS256, []), "object"),
        (token(HS256, b"{"), "JSON"),
        (token(HS256, b"[" * 100_000), "JSON"),
        (token(HS256, {"sub": "a"}), "exp"),
        (token(HS256, GOOD | {"exp": True}), "exp"),
        (token(HS256, GOOD | {"exp": math.nan}), "expired"),
        (token(HS256, GOOD | {"exp": NOW - 31}), "expired"),
        (token(HS256, GOOD | {"nbf": NOW + 31}), "not hold yet"),
        (token(HS256, GOOD | {"nbf": "soon"}), "time"),
        (token(HS256, {"exp": NOW + 60}), "sub"),
        (token(HS256, GOOD | {"sub": ""}), "sub"),
        (token(HS256, GOOD | {"sub": "a\ud800"}), "sub"),
        (token(HS256, GOOD | {"sub": "a\nb"}), "sub"),
        (token(HS256, GOOD | {"permissions": ["root"]}), "claim"),
        (token(HS256, GOOD | {"tokens_per_minute": -1}), "claim"),
    ],
)
def test_what_is_refused(made: str, why: str) -> None:
    """Anything else, with its reason."""
    with pytest.raises(BadToken, match=why):
        identity(made, SECRET, NOW)


def test_clocks_differ_a_little() -> None:
    """By half a minute."""
    identity(signed({"sub": "a", "exp": NOW - 29, "nbf": NOW + 29}, SECRET), SECRET, NOW)
