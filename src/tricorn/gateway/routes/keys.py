"""API keys (`/admin/keys`), and what was used by them (`GET /admin/usage`)"""

from __future__ import annotations

import datetime
import time

import msgspec
from flask import Blueprint, Response, request

from tricorn.access import usage
from tricorn.errors import InvalidRequest
from tricorn.gateway.answers import respond
from tricorn.gateway.orders.managing import parse
from tricorn.gateway.requests import query
from tricorn.gateway.requests.incoming import body
from tricorn.gateway.services import services
from tricorn.schemas.keys import KeyChange, KeyRequest
from tricorn.storage.keys import StoredKey, day

bp = Blueprint("keys", __name__)

DAYS = 30
MAX_TEXT = 256


@bp.post("/admin/keys")
def create() -> Response:
    """With the key itself, which is told this once."""
    call = parse(KeyRequest)
    key, text = services().keys.create(call.name, call.terms(), call.expires)
    return _changed(key, text, status=201)


@bp.get("/admin/keys")
def index() -> Response:
    """Those that are revoked, too."""
    keys = services().keys.all()
    return respond.json({"object": "list", "data": [key.told() for key in keys]})


@bp.get("/admin/keys/<key_id>")
def show(key_id: str) -> Response:
    return respond.json(services().keys.get(key_id).told())


@bp.patch("/admin/keys/<key_id>")
def change(key_id: str) -> Response:
    """What is named in the body; null takes a limit away."""
    sent = body()
    call, _ = KeyChange.parse(sent, strict=True)
    cleared = {name for name, value in sent.items() if value is None}
    if "name" in cleared:
        raise InvalidRequest("Invalid value for 'name': a key has one.", param="name")

    def edit(key: StoredKey) -> StoredKey:
        return msgspec.structs.replace(
            key,
            name=call.name or key.name,
            terms=call.terms(key.terms, cleared),
            expires=None if "expires" in cleared else call.expires or key.expires,
        )

    return _changed(services().keys.change(key_id, edit))


@bp.delete("/admin/keys/<key_id>")
def revoke(key_id: str) -> Response:
    """For good. It stays in the list, for its usage to have a name."""
    return _changed(services().keys.revoke(key_id))


@bp.post("/admin/keys/<key_id>/rotate")
def rotate(key_id: str) -> Response:
    """Another key in its place, with the same id, name, limits and usage."""
    return _changed(*services().keys.rotate(key_id))


@bp.get("/admin/usage")
def used() -> Response:
    """By key, model and day, of the last `days` or `since` … `until`; of one `key` or `model`, or
    of all."""
    since, until = _days()
    rows = services().keys.usage(since, until, _text("key"), _text("model"))
    names = {key.id: key.name for key in services().keys.all()}
    return respond.json(usage.report(rows, names, since, until))


def _changed(key: StoredKey, text: str | None = None, status: int = 200) -> Response:
    services().key_book.forget()
    told = key.told() if text is None else key.told() | {"key": text}
    response = respond.json(told, status=status)
    response.headers["Cache-Control"] = "no-store"
    return response


def _days() -> tuple[str, str]:
    """The first and the last one."""
    now = time.time()
    days = query.count(request.args, "days", DAYS, usage.MAX_DAYS)
    since = _date("since") or day(now - (days - 1) * 86400)
    return since, _date("until") or day(now)


def _date(name: str) -> str | None:
    given = request.args.get(name)
    if given is None:
        return None
    try:
        return datetime.date.fromisoformat(given).isoformat()
    except ValueError as error:
        raise InvalidRequest(
            f"Invalid value for '{name}': must be a day as 2026-01-31, got {given[:20]!r}.",
            param=name,
        ) from error


def _text(name: str) -> str | None:
    given = request.args.get(name)
    return None if given is None else given[:MAX_TEXT]
