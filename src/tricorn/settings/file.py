"""tricorn.yaml: its sections, taken apart into the settings' flat names.

    port: 8000            the same as   server:
                                          port: 8000

A section only groups: each setting has one section that it may stand in. `models:` holds one entry
a model, and `defaults:` for all of them.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tricorn.errors import StartupError

SECTIONS: dict[str, tuple[str, ...]] = {
    "server": (
        "host",
        "port",
        "workers",
        "gateway_server",
        "mode",
        "strict_fields",
        "reasoning_field",
        "cors_origins",
        "sse_keepalive_s",
        "request_timeout_s",
        "fetch_images",
        "transport",
        "run_dir",
    ),
    "connections": (
        "tls_cert",
        "tls_key",
        "trusted_proxies",
        "proxy_headers",
        "header_timeout_s",
        "body_timeout_s",
        "send_timeout_s",
        "min_transfer_rate",
        "keepalive_timeout_s",
        "max_connections",
    ),
    "access": (
        "auth",
        "api_keys",
        "api_key_in_query",
        "jwt_secret",
        "metrics_public",
        "docs_public",
    ),
    "catalog": (
        "model_base_path",
        "default_model",
        "allowed_model_paths",
        "hf_cache",
        "allow_model_deletion",
    ),
    "engines": (
        "inference_engine",
        "device_type",
        "engines_dir",
        "context_length",
        "max_num_seqs",
        "prefill_budget",
        "max_cpu_threads",
        "enable_caching",
        "cache_size",
        "engine_args",
        "vllm_tensor_parallel_size",
        "vllm_pipeline_parallel_size",
        "vllm_data_parallel_size",
        "vllm_gpu_memory_utilization",
        "vllm_max_model_len",
        "vllm_dtype",
        "vllm_quantization",
        "vllm_kv_cache_dtype",
        "vllm_enforce_eager",
        "vllm_trust_remote_code",
    ),
    "limits": (
        "max_concurrent_models",
        "max_cpu_memory",
        "max_gpu_memory",
        "shrink_context",
        "ttl",
        "max_swap_wait_s",
        "replica_start_interval_s",
        "model_start_interval_s",
        "max_parked_models",
        "spare_workers",
        "max_instances",
        "instance_ttl",
        "load_timeout_s",
        "max_concurrent_requests",
        "max_waiting",
        "max_wait_s",
        "drain_timeout_s",
        "max_body_bytes",
        "max_messages",
        "max_images",
        "max_image_bytes",
        "max_image_pixels",
        "image_fetch_timeout_s",
    ),
    "supervision": (
        "canary_interval_s",
        "hang_timeout_s",
        "max_restarts",
        "restart_window_s",
    ),
    "downloads": (
        "hf_endpoint",
        "hf_home",
        "hf_hub_cache",
        "hf_token",
        "http_proxy",
        "https_proxy",
        "no_proxy",
    ),
    "storage": (
        "data_dir",
        "responses_ttl_s",
        "max_stored_responses",
        "max_stored_bytes",
    ),
    "logging": (
        "log_level",
        "log_format",
        "log_dir",
        "log_max_bytes",
        "log_keep_days",
        "log_keep_files",
        "log_prompts",
    ),
}
"""Every setting but `models` and `model_defaults`, by the section that it may stand in."""


@dataclass
class Flat:
    """What a file says, by the settings' flat names."""

    values: dict[str, Any] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    """Of its sections; what is wrong with the values is seen when they are validated."""


def read(path: Path) -> Flat:
    """StartupError where it is no YAML, or no mapping. A file that is empty says nothing."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise StartupError(f"{path} cannot be read: {error}") from error
    if content is None:
        return Flat()
    if not isinstance(content, dict):
        raise StartupError(f"{path} cannot be read: it must be a mapping of names to values")
    return flat(content)


def flat(content: dict[Any, Any]) -> Flat:
    """Take the sections apart."""
    found = Flat()
    for key, value in content.items():
        name = str(key)
        if name in SECTIONS:
            _section(found, name, value, content)
        elif name == "models" and isinstance(value, dict):
            found.values["models"] = _entries(value)
        else:
            found.values[name] = value
    return found


def _section(found: Flat, section: str, value: Any, content: dict[Any, Any]) -> None:
    if value is None:
        return
    if not isinstance(value, dict):
        found.problems.append(f"{section}: must be a mapping of settings (got {value!r})")
        return
    for key, setting in value.items():
        name = str(key)
        if name not in SECTIONS[section]:
            found.problems.append(_misplaced(section, name))
        elif name in content:
            found.problems.append(f"{name} and {section}.{name} are the same: give one")
        else:
            found.values[name] = setting


def _misplaced(section: str, name: str) -> str:
    if home := home_of(name):
        return f"{section}.{name}: {name} belongs under {home}:, or to the top of the file"
    if name in ("models", "model_defaults"):
        return f"{section}.{name}: {name} belongs to the top of the file"
    everywhere = [one for names in SECTIONS.values() for one in names]
    near = nearest(name, SECTIONS[section]) or nearest(name, everywhere)
    home = home_of(near) if near else None
    where = f" (under {home}:)" if home not in (None, section) else ""
    hint = f"; did you mean {near}{where}?" if near else ""
    return f"{section}.{name}: no such setting{hint}"


def home_of(name: str) -> str | None:
    """The section of a setting."""
    return next((section for section, names in SECTIONS.items() if name in names), None)


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that was probably meant."""
    return next(iter(difflib.get_close_matches(name.lower(), list(known), n=1)), None)


def _entries(models: dict[Any, Any]) -> dict[str, Any]:
    """`NAME:` with nothing under it is an entry too; a name may look like a number."""
    return {str(name): _or_empty(entry) for name, entry in models.items()}


def _or_empty(value: Any) -> Any:
    return {} if value is None else value
