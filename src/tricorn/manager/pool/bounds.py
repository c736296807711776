"""What of the settings bounds the pool; all of it may change while it runs."""

from __future__ import annotations

import sys
from dataclasses import dataclass

from tricorn.settings.config import Settings


@dataclass(frozen=True)
class Limits:
    """Of requests."""

    max_waiting: int
    """For one model."""
    max_wait_s: float
    max_requests: int | None = None
    """Leases at the same time, of all models."""


@dataclass(frozen=True)
class Bounds:
    """Of replicas."""

    max_models: int
    max_parked: int
    max_swap_wait_s: float
    replica_start_interval_s: float = 0.0
    model_start_interval_s: float = 0.0


def limits_of(settings: Settings) -> Limits:
    return Limits(settings.max_waiting, settings.max_wait_s, settings.max_concurrent_requests)


def bounds_of(settings: Settings) -> Bounds:
    return Bounds(
        max_models=settings.max_concurrent_models or sys.maxsize,
        max_parked=settings.max_parked_models,
        max_swap_wait_s=settings.max_swap_wait_s,
        replica_start_interval_s=settings.replica_start_interval_s,
        model_start_interval_s=settings.model_start_interval_s,
    )
