"""All that is known of a model and its replicas, as JSON has it."""

from __future__ import annotations

from typing import Any

import msgspec

from tricorn.manager.memory.books import MemoryBooks
from tricorn.manager.pool.served_model import ServedModel
from tricorn.manager.replicas.replica import Replica


def of(served: ServedModel, books: MemoryBooks, now: float) -> dict[str, Any]:
    """Times in seconds from `now` or for how long, memory in bytes by place."""
    spec, serving = served.spec, served.spec.serving
    expires_at, oldest = served.expires_at(), served.waiting.oldest()
    failed = served.failure is not None
    residue = books.residue(spec.id)
    return {
        "id": spec.id,
        "aliases": list(spec.aliases),
        "state": served.state(),
        "reason": spec.fault or (served.failure.message if served.failure is not None else None),
        "engine": spec.engine,
        "engine_reason": spec.engine_reason,
        "device": spec.device,
        "format": spec.format,
        "path": spec.path,
        "size_bytes": spec.size_bytes,
        "context_length": served.known.context_length if served.known is not None else None,
        "context_shrunk_to": None
        if served.shrunk is None
        else served.shrunk.options.context_length,
        "replicas": [_replica(served, one, books, now) for one in served.replicas.values()],
        "replicas_wanted": serving.replicas,
        "leases": sum(one.leases for one in served.replicas.values()),
        "waiting": len(served.waiting),
        "waiting_s": None if oldest is None else round(now - oldest.since, 3),
        "eta_s": _rounded(served.eta_s(now)),
        "load_s": _rounded(served.load_s or books.load_s(spec)),
        "memory_expected": dict(books.needs(served.target())),
        "memory_held": {
            place: sum(books.ledger.held(one).get(place, 0) for one in served.replicas)
            for place in {place for one in served.replicas for place in books.ledger.held(one)}
        },
        "memory_residue": None if residue is None else dict(residue),
        "pinned": serving.pinned,
        "preload": serving.preload,
        "ttl_s": serving.ttl_s,
        "expires_in_s": None if expires_at is None else round(max(0.0, expires_at - now), 3),
        "failures": served.failures,
        "last_error": served.failure.message if served.failure is not None else None,
        "retry_in_s": _retry_in(served, now) if failed else None,
        "log_tail": served.log_tail if failed else [],
        "adapters": [one.name for one in spec.adapters],
        "details": served.known.details if served.known is not None else {},
    }


def _replica(
    served: ServedModel, replica: Replica, books: MemoryBooks, now: float
) -> dict[str, Any]:
    ready = replica.state == "READY"
    return {
        "name": replica.name,
        "state": replica.state,
        "pid": replica.pid,
        "current": served.is_current(replica),
        "leases": replica.leases,
        "progress": replica.progress if replica.state == "LOADING" else None,
        "load_s": _rounded(replica.load_s),
        "ready_for_s": round(now - replica.ready_since, 3) if ready else None,
        "memory": dict(books.ledger.held(replica.name)),
        "stats": None
        if replica.stats is None
        else msgspec.to_builtins(msgspec.structs.asdict(replica.stats)),
    }


def _retry_in(served: ServedModel, now: float) -> float | None:
    """None: not by itself."""
    left = served.retry_at - now
    return round(max(0.0, left), 3) if left != float("inf") else None


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
