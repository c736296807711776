"""Engine parameters that have an engine run code of the model's makers, or code that they name.

Whoever may edit the settings on this machine may set them; a request may not. Pure.
"""

from __future__ import annotations

from typing import Any

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
    }
)


def refuse(arguments: Any, *, param: str) -> None:
    """NotAllowed where one of them is set, however deep; what is false or null sets nothing."""
    if isinstance(arguments, list):
        for position, value in enumerate(arguments):
            refuse(value, param=f"{param}[{position}]")
    if not isinstance(arguments, dict):
        return
    for name, value in arguments.items():
        if name.lower().lstrip("-").replace("-", "_") in RUNS_CODE and value:
            raise NotAllowed(
                f"'{param}.{name}' would have the engine run foreign code; only the settings on "
                "the server's own machine (tricorn.yaml) may say so.",
                param=f"{param}.{name}",
            )
        refuse(value, param=f"{param}.{name}")
