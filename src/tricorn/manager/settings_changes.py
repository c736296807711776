"""Which settings can change while Tricorn runs, and what another reading of them comes to. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from tricorn.config import Settings

LIVE = frozenset(
    {
        # the catalog
        "models",
        "model_defaults",
        "model_base_path",
        "hf_cache",
        "hf_home",
        "hf_hub_cache",
        "inference_engine",
        "device_type",
        "context_length",
        "max_num_seqs",
        "prefill_budget",
        "max_cpu_threads",
        "enable_caching",
        "cache_size",
        "engine_args",
        "ttl",
        "shrink_context",
        # the pool
        "max_concurrent_models",
        "max_parked_models",
        "max_cpu_memory",
        "max_gpu_memory",
        "max_concurrent_requests",
        "max_waiting",
        "max_wait_s",
        "max_swap_wait_s",
        "replica_start_interval_s",
        # downloads
        "hf_endpoint",
        "hf_token",
        "http_proxy",
        "https_proxy",
        "no_proxy",
        # keys
        "api_keys",
        # the manager itself; what its processes take over when they start
        "default_model",
        "load_timeout_s",
        "canary_interval_s",
        "hang_timeout_s",
        "log_level",
        "log_max_bytes",
        "log_keep_days",
        "log_keep_files",
    }
)
"""The others are read when a process starts."""


@dataclass(frozen=True)
class Changes:
    settings: Settings
    """What holds from now on: the live ones as they were read, the others as they were."""
    changed: list[str]
    needs_restart: list[str]
    """Names, sorted."""


def compare(now: Settings, read: Settings) -> Changes:
    """now: what holds; read: what the sources say."""
    differing = sorted(
        name for name in Settings.model_fields if getattr(now, name) != getattr(read, name)
    )
    changed = [name for name in differing if name in LIVE]
    settings = now.model_copy(update={name: getattr(read, name) for name in changed})
    return Changes(settings, changed, [name for name in differing if name not in LIVE])
