"""Ollama's `POST /api/pull` and `DELETE /api/delete`"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Response

from tricorn.gateway.answers import respond, sse
from tricorn.gateway.ollama.names import meant
from tricorn.gateway.orders.ordering import ordered, streamed
from tricorn.gateway.requests.incoming import parse
from tricorn.schemas.ollama.models import OllamaDelete, OllamaPull

bp = Blueprint("ollama_manage", __name__)

SUCCESS = {"status": "success"}


@bp.post("/api/pull")
def pull() -> Response:
    call = parse(OllamaPull, curl=True)
    name = call.model.removesuffix(":latest")
    if not call.stream:
        ordered("pull", model=name)
        return respond.json(SUCCESS)
    return streamed(
        "pull",
        {"model": name},
        framing=sse.OLLAMA,
        tell=lambda progress: _line(progress.data),
        end=lambda _: SUCCESS,
    )


@bp.delete("/api/delete")
def delete() -> Response:
    """An empty answer."""
    call = parse(OllamaDelete, curl=True)
    ordered("delete", model=meant(call.model))
    return Response(status=200)


def _line(state: Mapping[str, Any]) -> dict[str, Any]:
    """A download's state, as Ollama tells it: of one file at a time."""
    digest = state.get("digest")
    if state.get("state") == "verifying":
        return {"status": "verifying sha256 digest"}
    if digest is None:
        return {"status": "pulling manifest"}
    return {
        "status": f"pulling {digest.removeprefix('sha256:')[:12]}",
        "digest": digest,
        "total": state.get("file_total_bytes"),
        "completed": state.get("file_completed_bytes"),
    }
