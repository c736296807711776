"""Whose request it is, as the manager is told for its turns."""

from __future__ import annotations

from hashlib import blake2b

from flask import request

from tricorn.access import credentials
from tricorn.gateway.guard import access

NO_ADDRESS = "local"
"""On a unix socket. Behind a proxy that is not in TRUSTED_PROXIES all callers without keys are one:
the proxy."""


def turn_key() -> str:
    """The same for all requests with the same API key, whichever way it is sent, or else from the
    same address. It tells nothing of the API key."""
    known = access.key_id()
    if known:
        return known
    sent = credentials.find(request.headers, {}, in_query=False)
    if sent is not None:
        data = sent.encode("utf-8", "surrogatepass")
        return f"key-{blake2b(data, digest_size=8, person=b'turns').hexdigest()}"
    return request.remote_addr or NO_ADDRESS
