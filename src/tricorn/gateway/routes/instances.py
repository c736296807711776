"""`/instances`: named instances of models. What they answer to is below `/proxy/ID`."""

from __future__ import annotations

from flask import Blueprint, Response

from tricorn.gateway import record
from tricorn.gateway.answers import respond
from tricorn.gateway.guard import access
from tricorn.gateway.orders import managing
from tricorn.gateway.orders.ordering import ordered
from tricorn.gateway.services import services
from tricorn.manager.protocol.model_info import ModelInfo
from tricorn.schemas.management import InstanceRequest

bp = Blueprint("instances", __name__)


@bp.post("/instances")
def create() -> Response:
    """It, once it is loaded."""
    call = managing.parse(InstanceRequest)
    record.current().model = call.model_name
    return managing.carried_out(
        "instances.create",
        {
            "model": call.model_name,
            "params": call.params,
            "ttl": call.ttl_s(),
            "name": call.name,
        },
        wait=call.wait,
        stream=call.stream,
        status=201,
    )


@bp.get("/instances")
def index() -> Response:
    """Those of models that the key may use."""
    told = ordered("instances.list")
    if access.is_limited():
        may_use = access.allowing(_models)
        told = told | {"data": [one for one in told["data"] if may_use(str(one["model"]))]}
    return respond.json(told)


@bp.get("/instances/<instance_id>")
def show(instance_id: str) -> Response:
    found = ordered("instances.get", id=instance_id)
    access.must_use(str(found["model"]), _models)
    return respond.json(found)


@bp.delete("/instances/<instance_id>")
def delete(instance_id: str) -> Response:
    if access.is_limited():
        show(instance_id)
    return respond.json(ordered("instances.delete", id=instance_id))


def _models() -> list[ModelInfo]:
    return services().everything().models
