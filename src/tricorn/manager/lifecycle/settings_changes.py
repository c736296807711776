"""Which settings can change while Tricorn runs, and what another reading of them comes to. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from tricorn.settings.config import Settings
from tricorn.settings.file import SECTIONS

LIVE = frozenset(
    {
        # the catalog
        "models",
        "model_defaults",
        "model_base_path",
        "hf_cache",
        "hf_home",
        "hf_hub_cache",
        *(name for name in SECTIONS["engines"] if name != "engines_dir"),
        "ttl",
        "shrink_context",
        # the pool
        "max_concurrent_models",
        "max_parked_models",
        "spare_workers",
        "max_cpu_memory",
        "max_gpu_memory",
        "max_concurrent_requests",
        "max_waiting",
        "max_wait_s",
        "max_swap_wait_s",
        "replica_start_interval_s",
        "model_start_interval_s",
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
"""What is taken over while Tricorn runs."""

GATEWAY = frozenset(
    {
        *SECTIONS["connections"],
        "workers",
        "gateway_server",
        "max_body_bytes",
        "max_messages",
        "max_images",
        "max_image_bytes",
        "max_image_pixels",
        "fetch_images",
        "image_fetch_timeout_s",
        "strict_fields",
        "reasoning_field",
        "cors_origins",
        "sse_keepalive_s",
        "request_timeout_s",
        "auth",
        "api_key_in_query",
        "jwt_secret",
        "metrics_public",
        "docs_public",
        "drain_timeout_s",
        "responses_ttl_s",
        "max_stored_responses",
        "max_stored_bytes",
        "log_prompts",
    }
)
"""What the gateway reads when it starts: taken over by a new one (`tricorn gateway restart`). All
others are read when the manager starts."""


@dataclass(frozen=True)
class Changes:
    settings: Settings
    """What holds from now on: the live ones as they were read, the others as they were."""
    changed: list[str]
    needs_restart: list[str]
    """Names, sorted."""


def compare(now: Settings, read: Settings, live: frozenset[str] = LIVE) -> Changes:
    """now: what holds; read: what the sources say; live: the names that can change."""
    differing = sorted(
        name for name in Settings.model_fields if getattr(now, name) != getattr(read, name)
    )
    changed = [name for name in differing if name in live]
    settings = now.model_copy(update={name: getattr(read, name) for name in changed})
    return Changes(settings, changed, [name for name in differing if name not in live])
