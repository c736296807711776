"""Ollama's `POST /api/pull` and `DELETE /api/delete`"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import orjson
from flask import Blueprint, Response

from tricorn.errors import TricornError
from tricorn.gateway import record, respond, sse
from tricorn.gateway.errors import ClientGone
from tricorn.gateway.incoming import parse
from tricorn.gateway.ollama_names import meant
from tricorn.gateway.ordering import Ordering, ordered
from tricorn.gateway.services import services
from tricorn.manager.protocol import Progress, Told
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
    record.current().stream = True
    pieces = _lines(Ordering(services(), "pull", {"model": name}, respond.client_socket()))
    return Response(respond.Begun(next(pieces), pieces), mimetype=sse.OLLAMA.mimetype)


@bp.delete("/api/delete")
def delete() -> Response:
    """An empty answer."""
    call = parse(OllamaDelete, curl=True)
    ordered("delete", model=meant(call.model))
    return Response(status=200)


def _lines(ordering: Ordering) -> Iterator[bytes]:
    """One JSON object a line. Raises only before the first."""
    begun = False
    facts = record.current()
    try:
        while True:
            match ordering.next():
                case Told():
                    yield sse.lines([orjson.dumps(SUCCESS)])
                    return
                case Progress() as progress:
                    yield sse.lines([orjson.dumps(_line(progress.data))])
                case _:
                    yield sse.OLLAMA.keep_alive
            begun = True
    except TricornError as error:
        if not begun:
            raise
        facts.error, facts.message = error.code, error.message
        yield sse.error_line(error)
    except ClientGone:
        facts.error = "client_gone"
        if not begun:
            raise
    finally:
        ordering.close()


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
