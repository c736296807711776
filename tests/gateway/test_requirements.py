"""Every route there is, and what it asks of a key."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from flask import Flask
from tests.gateway.access.door import Door

from tricorn.access.permissions import PERMISSIONS
from tricorn.gateway.guard import requirements

USING = "chat completions embeddings"
ROUTES = f"""
POST   /v1/chat/completions                      chat
POST   /v1/messages                              chat
POST   /v1/messages/count_tokens                 chat
POST   /v1/responses                             chat
POST   /v1/responses/input_tokens                chat
GET    /v1/responses/<response_id>               chat
DELETE /v1/responses/<response_id>               chat
POST   /v1/responses/<response_id>/cancel        chat
GET    /v1/responses/<response_id>/input_items   chat
POST   /api/chat                                 chat
POST   /v1/completions                           completions
POST   /api/generate                             completions
POST   /v1/embeddings                            embeddings
POST   /api/embed                                embeddings
POST   /api/embeddings                           embeddings
POST   /rerank                                   embeddings
POST   /v1/rerank                                embeddings
POST   /v2/rerank                                embeddings
POST   /score                                    embeddings
POST   /v1/score                                 embeddings
POST   /tokenize                                 {USING}
POST   /v1/tokenize                              {USING}
POST   /detokenize                               {USING}
POST   /v1/detokenize                            {USING}
POST   /v1/chat/completions/render               {USING}
GET    /v1/models                                models:read
GET    /v1/models/<path:model_id>                models:read
GET    /v1/models/<path:model_id>/capabilities   models:read
GET    /v1/models/<path:model_id>/capabilities/  models:read
GET    /v1/models/<path:name>/status             models:read
GET    /v1/models/<path:name>/status/            models:read
GET    /v1/models/pull                           models:read
GET    /v1/models/pull/<path:name>               models:read
GET    /v1/system/status                         models:read
GET    /v1/system/health                         models:read
GET    /instances                                models:read
GET    /instances/<instance_id>                  models:read
GET    /api/tags                                 models:read
GET    /api/ps                                   models:read
POST   /api/show                                 models:read
POST   /api/copy                                 models:read
POST   /api/create                               models:read
POST   /api/push                                 models:read
POST   /v1/models/load                           models:manage
DELETE /v1/models/<path:name>                    models:manage
DELETE /v1/models/<path:name>/unload             models:manage
POST   /v1/models/<path:name>/unload             models:manage
POST   /v1/models/<path:name>/retry              models:manage
POST   /v1/models/pull                           models:manage
DELETE /v1/models/pull/<path:name>               models:manage
POST   /instances                                models:manage
DELETE /instances/<instance_id>                  models:manage
POST   /api/pull                                 models:manage
DELETE /api/delete                               models:manage
GET    /v1/events                                models:manage admin
GET    /metrics                                  metrics admin
GET    /v1/system/metrics                        metrics admin
POST   /admin/keys                               admin
GET    /admin/keys                               admin
GET    /admin/keys/<key_id>                      admin
PATCH  /admin/keys/<key_id>                      admin
DELETE /admin/keys/<key_id>                      admin
POST   /admin/keys/<key_id>/rotate               admin
GET    /admin/usage                              admin
GET    /v1/logs/recent                           admin
POST   /v1/admin/log-level                       admin
POST   /v1/admin/reload                          admin
POST   /v1/admin/gateway/restart                 admin
GET    /                                         any
GET    /ready                                    any
GET    /api/version                              any
GET    /health                                   nobody
"""
MANAGING = {"models:manage", "models:manage admin", "admin"}
"""Asked for once there are keys, also where others may come without."""


def table() -> dict[tuple[str, str], str]:
    rows = (line.split(None, 2) for line in ROUTES.split("\n") if line)
    return {(method, rule): needed for method, rule, needed in rows}


def routes(app: Flask) -> Iterator[tuple[str, str, str]]:
    """Method, rule and endpoint; the description of the API has a setting of its own."""
    for rule in app.url_map.iter_rules():
        if not rule.rule.startswith(("/docs", "/openapi.json")):
            for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
                yield method, rule.rule, rule.endpoint


def test_every_route_has_its_permission(app: Flask) -> None:
    """A new one is written down here, or this fails."""
    found = {}
    for method, rule, endpoint in routes(app):
        needed = requirements.of(endpoint, method, rule, metrics_public=False, docs_public=False)
        text = "nobody" if needed.public else " ".join(needed.permissions) or "any"
        found[method, rule] = text
        assert needed.managing == (text in MANAGING), rule
    assert found == table()


@pytest.mark.parametrize("host", ["0.0.0.0", "127.0.0.1"])
def test_every_route_asks_for_it(make_app: Callable[..., Flask], host: str) -> None:
    """401 without a key, 403 with one that may do all but that; before anything else is looked
    at. In the open only what manages asks."""
    app = make_app(host=host)
    door = Door(app)
    door.key("all")
    for (method, rule), needed in table().items():
        path = re.sub(r"<[^>]+>", "x", rule)
        required = needed != "nobody" and (host == "0.0.0.0" or needed in MANAGING)
        if required:
            assert door.status(path, method=method) == 401, (method, rule)
        if needed not in ("nobody", "any"):
            grants = {*needed.split(), "all"}
            grants |= {"models:manage"} if needed == "models:read" else set()
            others = door.key(*(one for one in PERMISSIONS if one not in grants))
            assert door.status(path, others, method=method) == 403, (method, rule)
