"""The list of models as Anthropic's clients read it, page by page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from tricorn.errors import InvalidRequest
from tricorn.gateway.requests import query
from tricorn.manager.protocol.model_info import ModelInfo

MAX_PAGE = 1000


def page(models: Sequence[ModelInfo], asked: Mapping[str, str]) -> dict[str, Any]:
    """asked: the query, with `limit` (all by default), `after_id` or `before_id`.

    InvalidRequest names what cannot be used of it.
    """
    limit = query.count(asked, "limit", MAX_PAGE, MAX_PAGE)
    ids = [model.id for model in models]
    first, end = 0, len(ids)
    if (after := asked.get("after_id")) is not None:
        first = _position(ids, "after_id", after) + 1
    if (before := asked.get("before_id")) is not None:
        end = _position(ids, "before_id", before)
    wanted = models[first:end]
    # Backwards it is the page that ends there.
    shown = wanted[-limit:] if before is not None else wanted[:limit]
    return {
        "data": [shape(model) for model in shown],
        "has_more": len(shown) < len(wanted),
        "first_id": shown[0].id if shown else None,
        "last_id": shown[-1].id if shown else None,
    }


def shape(model: ModelInfo) -> dict[str, Any]:
    """One of them."""
    return {
        "type": "model",
        "id": model.id,
        "display_name": model.id,
        "created_at": datetime.fromtimestamp(model.created, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "lifecycle": "active",
        "max_input_tokens": model.context_length,
        "max_tokens": model.context_length,
    }


def _position(ids: Sequence[str], param: str, wanted: str) -> int:
    if wanted not in ids:
        raise InvalidRequest(
            f"Invalid value for '{param}': there is no model {wanted[:256]!r}.", param=param
        )
    return ids.index(wanted)
