"""Recognising a LoRA adapter's folder: adapter_config.json and adapter_model.safetensors, as PEFT
writes them.

Only the configuration is read, and the header of the weights; the engine checks the rest when the
adapter is first used. What is wrong is told as a fault; nothing here raises.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tricorn.manager.catalog import hf_folder
from tricorn.manager.catalog.hf_folder import OUTSIDE, FolderFile
from tricorn.model_facts import safetensors

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
PICKLED = ("adapter_model.bin", "adapter_model.pt")


@dataclass(frozen=True)
class AdapterFolder:
    """What an adapter's folder holds."""

    base: str = ""
    """What its configuration calls the model that it was trained for: an id, or a path."""
    rank: int = 0
    """The largest one of its layers."""
    size: int = 0
    """Of the weights, in bytes."""
    mtime_ns: int = 0
    version: int = 0
    """Another one once a file that counts has changed."""
    fault: str | None = None


def is_adapter(files: Iterable[FolderFile]) -> bool:
    """Whether these files are an adapter, whole or broken, and not a model that has one beside."""
    files = list(files)
    return any(file.name == CONFIG for file in files) and not hf_folder.is_model(files)


def inspect(folder: Path, files: list[FolderFile], *, within: Path | None = None) -> AdapterFolder:
    """What the adapter's folder with these files is.

    within: files that are links out of this folder are refused and not read.
    """
    there = {file.name: file for file in files if file.name in (CONFIG, WEIGHTS, *PICKLED)}
    outside = hf_folder.outside(folder, there, within) if within is not None else []
    if outside:
        return AdapterFolder(fault=f"{outside[0]}: {OUTSIDE}")
    config, config_fault = hf_folder.read_json(folder / CONFIG)
    rank, rank_fault = _rank(config)
    base = config.get("base_model_name_or_path")
    faults = [config_fault or _kind_fault(config) or rank_fault, _weights_fault(folder, there)]
    return AdapterFolder(
        base=base if isinstance(base, str) else "",
        rank=rank,
        size=there[WEIGHTS].size if WEIGHTS in there else 0,
        mtime_ns=max((file.mtime_ns for file in there.values()), default=0),
        version=_version(there.values()),
        fault="; ".join(fault for fault in faults if fault) or None,
    )


def _kind_fault(config: dict[str, Any]) -> str | None:
    kind = config.get("peft_type", "LORA")
    if isinstance(kind, str) and kind.upper() == "LORA":
        return None
    return f"it is no LoRA adapter: its peft_type is {kind}"


def _rank(config: dict[str, Any]) -> tuple[int, str | None]:
    """The largest rank, 0 with the fault where there is none."""
    patterns = config.get("rank_pattern") or {}
    ranks = [config.get("r"), *(patterns.values() if isinstance(patterns, dict) else ())]
    if all(isinstance(rank, int) and rank > 0 for rank in ranks):
        return max(ranks), None
    return 0, f"{CONFIG} gives no rank (r) that is a positive number"


def _weights_fault(folder: Path, there: dict[str, FolderFile]) -> str | None:
    if WEIGHTS in there:
        return safetensors.inspect(folder / WEIGHTS).fault
    if any(name in there for name in PICKLED):
        return "its weights are in PyTorch's own format; only *.safetensors is read"
    return f"it has no {WEIGHTS}"


def _version(files: Iterable[FolderFile]) -> int:
    """63 bits of what the files' names, sizes and times say together: an older file that takes the
    place of a newer one counts as well."""
    digest = hashlib.blake2b(repr(hf_folder.fingerprint(files)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1
