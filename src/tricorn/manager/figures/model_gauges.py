"""How models, their replicas and the memory that they share are now, as metrics."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from tricorn.manager.memory.ledger import Ledger
from tricorn.manager.pool.pool import Pool
from tricorn.manager.pool.served_model import ServedModel
from tricorn.metrics.exposition import Family, Kind

ENGINE_FIGURES: tuple[tuple[str, Kind, str, str], ...] = (
    ("num_requests_running", "gauge", "Sequences in the batch.", "running"),
    ("num_requests_waiting", "gauge", "Sequences that wait in the engine.", "waiting"),
    ("kv_cache_usage_perc", "gauge", "Share of the KV cache in use, 0 to 1.", "kv_used"),
    (
        "prefix_cache_queries_total",
        "counter",
        "Prompt tokens that were looked up in the prefix cache.",
        "prefix_queries",
    ),
    ("prefix_cache_hits_total", "counter", "Of them, those that were there.", "prefix_hits"),
    ("num_preemptions_total", "counter", "Sequences that had to make room.", "preemptions"),
    (
        "engine_prompt_tokens_total",
        "counter",
        "Prompt tokens, as the engine counts them.",
        "prompt_tokens",
    ),
    (
        "engine_generation_tokens_total",
        "counter",
        "Generated tokens, as the engine counts them.",
        "generated_tokens",
    ),
)
"""Name, kind, help, and the field of `EngineStats`. Counters begin anew with each replica."""


def of_models(pool: Pool) -> Iterator[Family]:
    """Nothing is loaded or asked for it: what is known already."""
    models = pool.served()
    up = Family("model_up", "gauge", "1: a replica can serve.")
    queued = Family("queued_requests", "gauge", "Requests that wait for a replica.")
    leases = Family("leased_requests", "gauge", "Requests that replicas work on.")
    for served in models:
        labels = _labels(served)
        ready = any(one.state == "READY" for one in served.replicas.values())
        up.add(ready, **labels)
        queued.add(len(served.waiting), **labels)
        leases.add(sum(one.leases for one in served.replicas.values()), **labels)
    replicas = Family("replicas", "gauge", "Replicas whose process lives, by state.")
    for served in models:
        for state, count in Counter(one.state for one in served.replicas.values()).items():
            replicas.add(count, **_labels(served), state=state)
    loaded = Family("models_loaded", "gauge", "Models that can serve.")
    loaded.add(sum(sample.value for sample in up.samples))
    yield from (up, loaded, replicas, queued, leases)
    for name, kind, help, field in ENGINE_FIGURES:
        family = Family(name, kind, help)
        for served in models:
            for replica in served.replicas.values():
                if replica.stats is not None:
                    value = getattr(replica.stats, field)
                    family.add(value, **_labels(served), replica=replica.name)
        yield family


def of_ledger(pool: Pool, ledger: Ledger) -> Iterator[Family]:
    budget = Family("memory_budget_bytes", "gauge", "What all models together may hold.")
    for place, size in ledger.budget().items():
        budget.add(size, place=place)
    holders = ledger.holders()
    totals: Counter[str] = Counter(dict.fromkeys(ledger.budget(), 0))
    for held in holders.values():
        totals.update(held)
    all_held = Family("memory_held_bytes", "gauge", "What models hold, reserved or measured.")
    for place, size in totals.items():
        all_held.add(size, place=place)
    each = Family("model_memory_bytes", "gauge", "What a replica holds, reserved or measured.")
    for served in pool.served():
        for name in served.replicas:
            for place, size in holders.get(name, {}).items():
                each.add(size, **_labels(served), replica=name, place=place)
    yield from (budget, all_held, each)


STATES = ("queued", "starting", "downloading", "verifying", "waiting")
ENDS = ("done", "failed", "cancelled")


def of_downloads(downloads: Iterable[dict[str, Any]]) -> Iterator[Family]:
    """downloads: as `Downloads.listing` has them."""
    states: Counter[str] = Counter(dict.fromkeys((*STATES, *ENDS), 0))
    speed = 0.0
    for one in downloads:
        states[one["state"]] += 1
        speed += one.get("bytes_per_second") or 0.0
    counts = Family("downloads", "gauge", "Downloads that run or have ended lately, by state.")
    for state, count in states.items():
        counts.add(count, state=state)
    bytes_per_second = Family("download_bytes_per_second", "gauge", "All downloads together.")
    bytes_per_second.add(speed)
    yield from (counts, bytes_per_second)


def _labels(served: ServedModel) -> dict[str, str]:
    return {"model_name": served.spec.id, "engine": served.spec.engine}
