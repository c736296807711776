"""`/instances`: named instances of models. What they answer to is below `/proxy/ID`."""

from __future__ import annotations

from flask import Blueprint, Response

from tricorn.gateway import managing, record, respond
from tricorn.gateway.ordering import ordered
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
    return respond.json(ordered("instances.list"))


@bp.get("/instances/<instance_id>")
def show(instance_id: str) -> Response:
    return respond.json(ordered("instances.get", id=instance_id))


@bp.delete("/instances/<instance_id>")
def delete(instance_id: str) -> Response:
    return respond.json(ordered("instances.delete", id=instance_id))
