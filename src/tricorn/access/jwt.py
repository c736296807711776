"""JSON Web Tokens by which somebody else's sign-in names a caller: HS256, and nothing else. Pure.

The claims are `sub`, `exp`, and the fields of `Terms`; `nbf` and `name` may be there.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from typing import Any, TypeGuard

from tricorn.access.terms import MAX_NAME, Identity, terms

LEEWAY_S = 30.0
"""By which the clock of whoever signs may differ."""


class BadToken(Exception):
    """It proves nothing. The text says why, and nothing of the token."""


def looks_like_one(key: str) -> bool:
    return key.startswith("eyJ") and key.count(".") == 2


def identity(token: str, secret: bytes, now: float) -> Identity:
    """Of whoever holds it. now: Unix seconds. BadToken."""
    try:
        head, body, signature = (part.encode("ascii") for part in token.split("."))
    except ValueError as error:
        raise BadToken("it has not three parts") from error
    expected = hmac.new(secret, head + b"." + body, hashlib.sha256).digest()
    if not hmac.compare_digest(expected, _decoded(signature)):
        raise BadToken("its signature is not ours")
    header = _object(head)
    # Signed or not, a token that names another algorithm was not made for this.
    if header.get("alg") != "HS256" or "crit" in header:
        raise BadToken("its algorithm is not HS256")
    claims = _object(body)
    _check_times(claims, now)
    subject = claims.get("sub")
    if not _is_name(subject):
        raise BadToken("it has no 'sub', or one that cannot be a key's name")
    name = claims.get("name")
    try:
        return Identity(f"jwt:{subject}", name if _is_name(name) else subject, terms(claims))
    except ValueError as error:
        raise BadToken(f"a claim cannot be used: {error}") from error


def signed(claims: dict[str, Any], secret: bytes) -> str:
    """A token with these claims."""
    parts = ({"alg": "HS256", "typ": "JWT"}, claims)
    text = b".".join(_encoded(json.dumps(part).encode()) for part in parts)
    return (text + b"." + _encoded(hmac.new(secret, text, hashlib.sha256).digest())).decode()


def _is_name(value: object) -> TypeGuard[str]:
    """As keys have them; lone surrogates, which JSON may have, could be neither sent nor stored."""
    return isinstance(value, str) and 0 < len(value) <= MAX_NAME and value.isprintable()


def _check_times(claims: dict[str, Any], now: float) -> None:
    ends, begins = claims.get("exp"), claims.get("nbf", 0)
    for value in (ends, begins):
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise BadToken("it has no 'exp', or a time that is no number")
    assert isinstance(ends, int | float)
    # Written so that a NaN is refused.
    if not now - LEEWAY_S < ends:
        raise BadToken("it has expired")
    if not begins <= now + LEEWAY_S:
        raise BadToken("it does not hold yet")


def _object(part: bytes) -> dict[str, Any]:
    try:
        value = json.loads(_decoded(part))
    except (ValueError, RecursionError) as error:
        raise BadToken("a part of it is no JSON") from error
    if not isinstance(value, dict):
        raise BadToken("a part of it is no object")
    return value


def _decoded(part: bytes) -> bytes:
    try:
        return base64.b64decode(part + b"=" * (-len(part) % 4), altchars=b"-_", validate=True)
    except binascii.Error as error:
        raise BadToken("a part of it is no base64url") from error


def _encoded(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")
