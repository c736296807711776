"""Engine parameters that have an engine run code of the model's makers, or code or files that they
name.

Whoever may edit the settings on this machine may set them; a request may not. Pure.
"""

from __future__ import annotations

from typing import Any

import orjson

from tricorn.errors import NotAllowed

RUNS_CODE = frozenset(
    {
        "trust_remote_code",
        "worker_cls",
        "worker_extension_cls",
        "scheduler_cls",
        "logits_processors",
        "model_class_overrides",
        "distributed_executor_backend",
        "reasoning_parser_plugin",
        "tool_parser_plugin",
        "tokenizer_cls",
        "compilation_config",
        "ec_connector_module_path",
        "ec_manager_config",
        "ec_transfer_config",
        "inductor_passes",
        "io_processor_plugin",
        "kv_connector_module_path",
        "kv_transfer_config",
        "spec_module_path",
        "weight_transfer_config",
    }
)
READS_FILES = frozenset(
    {
        "allowed_local_media_path",
        "download_dir",
        "hf_config_path",
        "model",
        "model_loader_extra_config",
        "model_weights",
        "tokenizer",
    }
)
"""What would be loaded in the place of, or beside, a model that may be loaded."""


def refuse(arguments: Any, *, param: str) -> None:
    """NotAllowed where one of them is set, however deep, in JSON text too; what is false or null
    sets nothing."""
    arguments = _parsed(arguments)
    if isinstance(arguments, list):
        for position, value in enumerate(arguments):
            refuse(value, param=f"{param}[{position}]")
    if not isinstance(arguments, dict):
        return
    for name, value in arguments.items():
        known = str(name).strip().lower().lstrip("-").replace("-", "_")
        if value and known in RUNS_CODE | READS_FILES:
            what = "run foreign code" if known in RUNS_CODE else "read files of its own choice"
            raise NotAllowed(
                f"'{param}.{name}' would have the engine {what}; only the settings on the "
                "server's own machine (tricorn.yaml) may say so.",
                param=f"{param}.{name}",
            )
        refuse(value, param=f"{param}.{name}")


def _parsed(value: Any) -> Any:
    """Engines take some of their parameters as JSON text."""
    if not isinstance(value, str) or value.lstrip()[:1] not in ("{", "["):
        return value
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError:
        return value
