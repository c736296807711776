"""Models as people read them in a terminal: tables, and lists of what is known of one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from tricorn.commands.terminal_bar import drawn, size
from tricorn.engines.spec import ModelSpec
from tricorn.model_facts.facts import FileFacts

UNKNOWN = "-"


def of_spec(spec: ModelSpec, state: str | None) -> dict[str, Any]:
    """What `models ls` and `show` tell of a model. state: None where no server tells."""
    known = spec.facts or FileFacts()
    return {
        "id": spec.id,
        "state": state,
        "format": spec.format,
        "quantisation": known.quantisation,
        "parameters": known.parameters,
        "context_length": known.context_trained,
        "size_bytes": spec.size_bytes,
        "capabilities": None if spec.facts is None else list(known.abilities),
        "engine": spec.engine or None,
        "engine_reason": spec.engine_reason,
        "memory_expected_bytes": None if spec.estimate is None else spec.estimate.total,
        "path": spec.path,
        "aliases": list(spec.aliases),
        "adapters": [adapter.name for adapter in spec.adapters],
        "fault": spec.fault,
        "warnings": list(spec.warnings),
    }


def elsewhere(name: str, state: str) -> dict[str, Any]:
    """One that only the server knows."""
    return {"id": name, "state": state}


def listed(models: Iterable[dict[str, Any]]) -> list[str]:
    rows = [("MODEL", "FORMAT", "QUANT", "PARAMETERS", "CONTEXT", "SIZE", "ENGINE", "STATE")]
    rows += [
        (
            model["id"],
            model.get("format") or UNKNOWN,
            model.get("quantisation") or UNKNOWN,
            _count(model.get("parameters")),
            str(model.get("context_length") or UNKNOWN),
            size(model["size_bytes"]) if model.get("size_bytes") else UNKNOWN,
            model.get("engine") or UNKNOWN,
            f"unusable: {model['fault']}" if model.get("fault") else model["state"] or UNKNOWN,
        )
        for model in models
    ]
    return table(rows)


def shown(model: dict[str, Any]) -> list[str]:
    """One line for each thing that is known."""
    words = {name: _words(name, value) for name, value in model.items()}
    there = {name.replace("_", " "): text for name, text in words.items() if text}
    width = max(len(name) for name in there)
    return [f"{name.ljust(width)}  {text}" for name, text in there.items()]


def loaded(status: dict[str, Any]) -> list[str]:
    """After a load."""
    seconds = f" in {status['load_s']:.1f} s" if status.get("load_s") else ""
    held = sum(status.get("memory_held", {}).values())
    memory = f", {size(held)} of memory" if held else ""
    context = status.get("context_length")
    tokens = f", context of {context} tokens" if context else ""
    return [f"{status['id']} is {status['state']}{seconds}{tokens}{memory}"]


def status(system: dict[str, Any], models: Iterable[dict[str, Any]]) -> list[str]:
    """The machine as bars, and a row for each model that is not just there."""
    lines = [
        f"CPU     {drawn(system['cpu_usage'] / 100)}",
        f"memory  {drawn(system['memory_usage'] / 100)}",
    ]
    if system.get("gpu_memory_usage") is not None:
        lines.append(f"GPU     {drawn(system['gpu_memory_usage'] / 100)}")
    average = system["avg_response_time"]
    lines.append(
        f"{system['total_requests']} requests"
        + (f", {average:.2f} s on average" if average is not None else "")
        + f", {system['tokens_per_second']:.1f} tokens/s"
    )
    rows = [("MODEL", "STATE", "REPLICAS", "REQUESTS", "WAITING", "MEMORY", "UNLOADED IN")]
    for model in models:
        if model["state"] == "UNLOADED":
            continue
        held = sum(model["memory_held"].values())
        left = model["expires_in_s"]
        rows.append(
            (
                model["id"],
                model["state"],
                f"{len(model['replicas'])} of {model['replicas_wanted']}",
                str(model["leases"]),
                str(model["waiting"]),
                size(held) if held else UNKNOWN,
                UNKNOWN if left is None else f"{left:.0f} s",
            )
        )
    return [*lines, "", *table(rows)] if len(rows) > 1 else [*lines, "no model is loaded"]


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Columns below each other; the last one is as wide as it is."""
    widths = [max(len(row[index]) for row in rows) for index in range(len(rows[0]) - 1)]
    return [
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]])
        for row in rows
    ]


def _count(parameters: object) -> str:
    """`134.5M`"""
    if not isinstance(parameters, int):
        return UNKNOWN
    for unit, letter in ((1e9, "B"), (1e6, "M"), (1e3, "K")):
        if parameters >= unit:
            return f"{parameters / unit:.1f}{letter}"
    return str(parameters)


def _words(name: str, value: Any) -> str:
    if value is None or value == [] or value == "":
        return ""
    if name == "parameters":
        return _count(value)
    if name.endswith("_bytes"):
        return size(value)
    return ", ".join(str(one) for one in value) if isinstance(value, list) else str(value)
