"""Who a request is from, and whether it may be made: asked before any route sees it.

    open      bound to loopback, without API_KEYS: anybody, with any key or none
    required  elsewhere: a key that holds, with the route's permission

What manages needs a key in the open too, once there are any. A key that is known is in both cases
what it is: it has no more than its permissions, models and limits.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import cast

import structlog
from flask import Flask, Response, current_app, g, has_request_context, request

from tricorn.access import credentials, jwt, secret
from tricorn.access.terms import Identity, ReasoningField
from tricorn.access.throttle import Throttle
from tricorn.errors import AuthenticationFailed, PermissionDenied, TooManyFailures
from tricorn.gateway import record
from tricorn.gateway.answers import error_shapes
from tricorn.gateway.guard import requirements
from tricorn.gateway.guard.cors import is_preflight
from tricorn.gateway.guard.key_book import KeyBook
from tricorn.gateway.guard.requirements import Requirement
from tricorn.manager.protocol.model_info import ModelInfo
from tricorn.settings.config import Settings

EXTENSION = "tricorn.access"
HOW = "Send it as 'Authorization: Bearer KEY' or 'x-api-key: KEY'."

log = structlog.get_logger(part="gateway")


class Doorkeeper:
    """Of one gateway process."""

    def __init__(self, settings: Settings, book: KeyBook, throttle: Throttle) -> None:
        self._settings = settings
        self._book = book
        self._throttle = throttle
        signed = settings.jwt_secret
        self._jwt_secret = None if signed is None else signed.get_secret_value().encode()

    def admit(self, needed: Requirement | None = None) -> Identity | None:
        """Whose the request being handled is; None: nobody's in particular.

        needed: None: what its route needs.
        AuthenticationFailed, PermissionDenied, TooManyFailures; StorageUnavailable where the keys
        cannot be read.
        """
        needed = needed or self._needed()
        if needed.public:
            return None
        required = self._is_required(needed)
        key = credentials.find(
            request.headers, request.args, in_query=self._settings.api_key_in_query
        )
        if key is None:
            if required:
                raise AuthenticationFailed(f"This server needs an API key. {HOW}")
            return None
        identity = self._checked(key) if required else self._find(key)
        if identity is not None and needed.permissions and not identity.may(*needed.permissions):
            wanted = " or ".join(needed.permissions)
            raise PermissionDenied(
                f"This API key may not do that: it lacks the permission {wanted}."
            )
        return identity

    def would_admit(self, identity: Identity | None, needed: Requirement) -> bool:
        """Whether one who was admitted already may do that as well. StorageUnavailable."""
        if identity is None:
            return not self._is_required(needed)
        return identity.may(*needed.permissions)

    def _needed(self) -> Requirement:
        return requirements.of(
            request.endpoint,
            request.method,
            request.path,
            metrics_public=self._settings.metrics_public,
            docs_public=self._settings.docs_public,
        )

    def _is_required(self, needed: Requirement) -> bool:
        settings = self._settings
        if settings.requires_key():
            return True
        # Those of settings that were read again since this process started are known by the store.
        if settings.auth == "auto" and self._book.has_configured():
            return True
        given = bool(settings.api_keys) or self._jwt_secret is not None
        return needed.managing and (given or self._book.has_any())

    def _checked(self, key: str) -> Identity:
        address = request.remote_addr or ""
        # A key that nobody can guess may still come from where others guess.
        if not secret.is_ours(key) and (wait_s := self._throttle.wait_s(address)):
            raise TooManyFailures(
                "Too many wrong API keys came from this address; try again later.",
                retry_after_s=wait_s,
            )
        identity = self._find(key)
        if identity is not None:
            return identity
        if wait_s := self._throttle.wait_s(address):
            raise TooManyFailures(
                "Too many wrong API keys came from this address; try again later.",
                retry_after_s=wait_s,
            )
        self._throttle.failed(address)
        log.warning("wrong API key", address=address, request_id=record.current().request_id)
        raise AuthenticationFailed("This API key is wrong, revoked or expired.")

    def _find(self, key: str) -> Identity | None:
        if self._jwt_secret is not None and jwt.looks_like_one(key):
            try:
                return jwt.identity(key, self._jwt_secret, time.time())
            except jwt.BadToken as error:
                log.debug("a token was refused", reason=str(error))
                return None
        return self._book.find(key)


def register(app: Flask, settings: Settings, book: KeyBook) -> None:
    """Have every request of `app` looked at."""
    doorkeeper = Doorkeeper(settings, book, Throttle(time.monotonic))
    app.extensions[EXTENSION] = doorkeeper

    @app.before_request
    def look() -> None:
        if not is_preflight():
            g.identity = doorkeeper.admit()
            record.current().key = key_id() or None

    @app.after_request
    def tell_limits(response: Response) -> Response:
        rate = record.current().rate
        if rate is not None:
            response.headers.update(rate.headers())
            if error_shapes.of(request.path) is error_shapes.anthropic:
                response.headers.update(rate.anthropic_headers(time.time()))
        return response


def current() -> Identity | None:
    """Whose the request being handled is; None: nobody's in particular."""
    return cast("Identity | None", g.get("identity")) if has_request_context() else None


def key_id() -> str:
    """Of the request being handled; empty: nobody's in particular."""
    identity = current()
    return "" if identity is None else identity.key_id


def reasoning_field() -> ReasoningField | None:
    """What the request's key calls thoughts; None: as the setting has it."""
    identity = current()
    return None if identity is None else identity.terms.reasoning_field


def must_manage() -> None:
    """Ask for what routes that manage models ask for, where another one does so now and then.
    AuthenticationFailed, PermissionDenied."""
    door: Doorkeeper = current_app.extensions[EXTENSION]
    door.admit(requirements.MANAGING)


def heeds(field: str) -> bool:
    """Whether a field that only those who manage models may use counts in the request being
    handled. Others are not refused for it, since some clients send it always, but told."""
    if not has_request_context():
        return True
    door: Doorkeeper = current_app.extensions[EXTENSION]
    if door.would_admit(current(), requirements.MANAGING):
        return True
    record.current().ignored.append(field)
    return False


def is_limited() -> bool:
    """Whether the request's key may use some of the models only."""
    identity = current()
    return identity is not None and bool(identity.terms.models)


def allowing(known: Callable[[], Iterable[ModelInfo]]) -> Callable[[str], bool]:
    """What tells of a model's name or alias whether the request's key may use it; holds beyond the
    request, as in a stream.

    known: gives the models that there are; called only where it matters.
    """
    identity = current()
    if identity is None or not identity.terms.models:
        return lambda model: True
    return lambda model: identity.may_use(*model_names(model, list(known())))


def must_use(model: str, known: Callable[[], Iterable[ModelInfo]]) -> None:
    """PermissionDenied where the request's key may not use it. known: as in `allowing`."""
    if not allowing(known)(model):
        raise PermissionDenied(
            f"This API key may not use the model '{model[:256]}'.", param="model"
        )


def model_names(model: str, known: Iterable[ModelInfo]) -> list[str]:
    """All that the model of that name is called: its id and aliases, and where it is an instance,
    the same of the model whose files it has."""
    names = [model]
    for info in known:
        if model == info.id or model in info.aliases:
            names += [info.id, *info.aliases]
            if info.instance_of is not None:
                own = info.instance_of + info.id.removeprefix(info.parent or info.id)
                names += model_names(own, [one for one in known if one.instance_of is None])
    return names


def seen(models: list[ModelInfo]) -> list[ModelInfo]:
    """Those that the request's key may use."""
    identity = current()
    if identity is None or not identity.terms.models:
        return models
    return [model for model in models if identity.may_use(model.id, *model.aliases)]
