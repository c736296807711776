"""Models: load, unload, status, retry, pull, delete; `POST /v1/admin/reload`, `gateway/restart`"""

from __future__ import annotations

from urllib.parse import quote

from flask import Blueprint, Response

from tricorn.gateway import record
from tricorn.gateway.answers import respond
from tricorn.gateway.guard import access
from tricorn.gateway.orders import managing
from tricorn.gateway.orders.managing import named, parse
from tricorn.gateway.orders.ordering import ordered
from tricorn.gateway.routes import models
from tricorn.gateway.services import services
from tricorn.schemas.management import LoadRequest, PullRequest

bp = Blueprint("management", __name__)


@bp.post("/v1/models/load")
def load() -> Response:
    """Its status, once it is loaded."""
    call = parse(LoadRequest)
    record.current().model = call.model_name
    response = managing.carried_out(
        "load",
        {
            "model": call.model_name,
            "settings": call.settings(),
            "reset": call.reset,
            "request_id": record.current().request_id,
        },
        wait=call.wait,
        stream=call.stream,
    )
    response.headers["Location"] = managing.status_url(call.model_name)
    return response


@bp.delete("/v1/models/<path:name>/unload")
def unload(name: str) -> Response:
    """When it is unloaded: what runs is finished first, unless `?force=true`."""
    if managing.is_known(f"{name}/unload") and not managing.is_known(name):
        return delete(f"{name}/unload")
    force = managing.flag("force", default=False)
    return respond.json(ordered("unload", model=named(name), force=force))


@bp.post("/v1/models/<path:name>/unload")
def unload_too(name: str) -> Response:
    """For clients that send no DELETE."""
    force = managing.flag("force", default=False)
    return respond.json(ordered("unload", model=named(name), force=force))


@bp.get("/v1/models/<path:name>/status")
@bp.get("/v1/models/<path:name>/status/")
def status(name: str) -> Response:
    """With its capability table, unless `?capabilities=false`."""
    if managing.is_known(f"{name}/status"):
        return models.show(f"{name}/status")
    told = ordered("status", model=named(name))
    if managing.flag("capabilities", default=True):
        for model in services().everything().models:
            if model.id == told["id"]:
                told = told | {"capabilities": models.capability_table(model)}
    return respond.json(told)


@bp.post("/v1/models/<path:name>/retry")
def retry(name: str) -> Response:
    """After failures, without waiting for its pause to end."""
    return respond.json(ordered("retry", model=named(name)))


@bp.delete("/v1/models/<path:name>")
def delete(name: str) -> Response:
    """Its files."""
    return respond.json(ordered("delete", model=named(name)))


# --- downloads ------------------------------------------------------------------------------------


@bp.post("/v1/models/pull")
def pull() -> Response:
    """Its state, once it is there."""
    call = parse(PullRequest)
    response = managing.carried_out(
        "pull", {"model": call.model}, wait=call.wait, stream=call.stream
    )
    response.headers["Location"] = f"/v1/models/pull/{quote(call.model, safe='/:@')}"
    return response


@bp.get("/v1/models/pull")
def pulls() -> Response:
    """Those of models that the key may use."""
    if managing.is_known("pull"):
        return models.show("pull")
    told = ordered("pulls")
    if access.is_limited():
        may_use = access.allowing(lambda: services().everything().models)
        told = told | {"data": [one for one in told["data"] if may_use(str(one["name"]))]}
    return respond.json(told)


@bp.get("/v1/models/pull/<path:name>")
def pull_state(name: str) -> Response:
    if managing.is_known(f"pull/{name}"):
        return models.show(f"pull/{name}")
    return respond.json(ordered("pull.state", model=named(name)))


@bp.delete("/v1/models/pull/<path:name>")
def cancel_pull(name: str) -> Response:
    """What has come stays, to be taken up by the next one."""
    return respond.json(ordered("pull.cancel", model=named(name)))


# --- all of it ------------------------------------------------------------------------------------


@bp.post("/v1/admin/reload")
def reload() -> Response:
    """Read the settings and the model folders again."""
    return respond.json(ordered("reload"))


@bp.post("/v1/admin/gateway/restart")
def restart_gateway() -> Response:
    """Once new processes have taken over. This one finishes what it has, this answer among it."""
    return respond.json(ordered("gateway.restart"))
