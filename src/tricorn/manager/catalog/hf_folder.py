"""Recognising a model folder: Hugging Face's layout, and MLX's, which differs in its config.json.

A model folder holds config.json and *.safetensors (in parts with an index where they are many) and
a tokenizer. Only the small files are read, and the header of each part, which also says how long
the file must be. What is wrong is told as a fault; nothing here raises.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tricorn.model_facts import folder as folder_facts
from tricorn.model_facts import safetensors
from tricorn.model_facts.facts import FileFacts

CONFIG = "config.json"
INDEX = "model.safetensors.index.json"
TOKENIZER_CONFIG = "tokenizer_config.json"
MODELOPT = "hf_quant_config.json"
"""Where NVIDIA's ModelOpt describes its quantisation."""
TOKENIZERS = frozenset(
    {
        "tokenizer.json",
        "tokenizer.model",
        "tekken.json",
        "spiece.model",
        "sentencepiece.bpe.model",
        "vocab.json",
        "vocab.txt",
    }
)
ADAPTER_WEIGHTS = "adapter_model."
"""How the files of a LoRA adapter begin, which may lie beside a configuration of its model."""
PICKLED = re.compile(r"^pytorch_model.*\.bin$")
PART = re.compile(r"^(?P<stem>.+)-(?P<part>\d{5})-of-(?P<parts>\d{5})\.safetensors$")
SUFFIX = ".safetensors"
MAX_JSON_BYTES = 64 * 2**20
"""An index of the largest models is about 10 MB; more than this is no index."""
OUTSIDE = "a link that leads out of the folder"

Fingerprint = tuple[tuple[str, int, int], ...]
"""Name, size and modification time of each file: what `inspect` found holds as long as it does."""


@dataclass(frozen=True)
class FolderFile:
    name: str
    size: int
    mtime_ns: int


@dataclass(frozen=True)
class ModelFolder:
    """What a model folder is. Sizes in bytes."""

    format: Literal["hf", "mlx"]
    size: int
    """Of the weights."""
    mtime_ns: int
    """The newest of its files."""
    quantisation: str | None = None
    """awq, gptq, fp8 as config.json names it; mlx-4bit and the like; None: plain weights."""
    fault: str | None = None
    facts: FileFacts | None = None


def list_files(folder: Path) -> list[FolderFile]:
    """The files directly in a folder, by name; links to files count, links to nowhere do not."""
    files = []
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        return []
    for entry in entries:
        try:
            status = entry.stat()
            if entry.is_file():
                files.append(FolderFile(entry.name, status.st_size, status.st_mtime_ns))
        except OSError:
            continue  # removed meanwhile, or a link to nowhere
    return files


def fingerprint(files: Iterable[FolderFile]) -> Fingerprint:
    return tuple((file.name, file.size, file.mtime_ns) for file in files)


def is_model(files: Iterable[FolderFile]) -> bool:
    """Whether these files make a model folder, whole or broken: a configuration and weights."""
    names = {file.name for file in files if not file.name.startswith(ADAPTER_WEIGHTS)}
    weights = any(name.endswith((SUFFIX, f"{SUFFIX}.index.json")) for name in names)
    return CONFIG in names and (weights or any(PICKLED.match(name) for name in names))


def inspect(folder: Path, files: list[FolderFile], *, within: Path | None = None) -> ModelFolder:
    """What the model folder with these files is.

    within: files that are links out of this folder are refused and not read; None allows them (the
    Hugging Face cache is made of such links).
    """
    sizes = {file.name: file.size for file in files}
    newest = max((file.mtime_ns for file in files), default=0)
    leading_out = [] if within is None else outside(folder, sizes, within)
    if leading_out:
        return ModelFolder("hf", 0, newest, fault=f"{leading_out[0]}: {OUTSIDE}")
    config, config_fault = read_json(folder / CONFIG)
    weights, weights_fault = _weights(folder, sizes)
    is_mlx = isinstance(config.get("quantization"), dict)
    parts = [safetensors.inspect(folder / name) for name in weights]
    faults = [config_fault, weights_fault, _tokenizer_fault(sizes), *(one.fault for one in parts)]
    quantisation = _mlx_quantisation(config) if is_mlx else _quantisation(config, sizes)
    return ModelFolder(
        format="mlx" if is_mlx else "hf",
        size=sum(sizes[name] for name in weights),
        mtime_ns=newest,
        quantisation=quantisation,
        fault="; ".join(fault for fault in faults if fault) or None,
        facts=folder_facts.facts(
            config,
            [tensor for one in parts for tensor in one.tensors],
            sizes,
            quantisation=quantisation,
            tokenizer_config=_tokenizer_config(folder, sizes),
        ),
    )


# --- configuration ------------------------------------------------------------------------------


def read_json(file: Path) -> tuple[dict[str, Any], str | None]:
    """The object in a JSON file, and why it can't be read (then the object is empty)."""
    try:
        if file.stat().st_size > MAX_JSON_BYTES:
            return {}, f"{file.name} is too large"
        content = json.loads(file.read_bytes())
    except OSError as error:
        return {}, f"{file.name} cannot be read: {error.strerror or error}"
    except (ValueError, RecursionError):
        return {}, f"{file.name} is not valid JSON"
    return (content, None) if isinstance(content, dict) else ({}, f"{file.name} is no JSON object")


def _mlx_quantisation(config: dict[str, Any]) -> str:
    bits = config["quantization"].get("bits")
    return f"mlx-{bits}bit" if isinstance(bits, int) else "mlx"


def _quantisation(config: dict[str, Any], sizes: dict[str, int]) -> str | None:
    """The method, in lower case; models that see keep it in their language part."""
    text = config.get("text_config")
    for part in (config, text if isinstance(text, dict) else {}):
        described = part.get("quantization_config", part.get("compression_config"))
        if isinstance(described, dict) and described:
            method = described.get("quant_method")
            if isinstance(method, str):
                return method.lower()
            return "bitsandbytes" if "load_in_4bit" in described else "unknown"
    return "modelopt" if MODELOPT in sizes else None


def _tokenizer_config(folder: Path, sizes: dict[str, int]) -> dict[str, Any]:
    """Empty where it is not there, or broken: the engine will say so."""
    return read_json(folder / TOKENIZER_CONFIG)[0] if TOKENIZER_CONFIG in sizes else {}


def _tokenizer_fault(sizes: dict[str, int]) -> str | None:
    if any(name in TOKENIZERS or name.endswith(".tiktoken") for name in sizes):
        return None
    return "it has no tokenizer (tokenizer.json or tokenizer.model)"


# --- weights ------------------------------------------------------------------------------------


def _weights(folder: Path, sizes: dict[str, int]) -> tuple[list[str], str | None]:
    """The weight files that are there, and what is missing of them."""
    there = [name for name in sizes if name.endswith(SUFFIX)]
    indexes = [name for name in sizes if name.endswith(f"{SUFFIX}.index.json")]
    if indexes:
        index = INDEX if INDEX in indexes else indexes[0]
        content, fault = read_json(folder / index)
        parts = content.get("weight_map")
        if fault is None and not isinstance(parts, dict):
            fault = f"{index} names no parts"
        if fault is not None or not isinstance(parts, dict):
            return there, fault
        wanted = sorted({str(part) for part in parts.values()})
    elif there:
        wanted = _all_parts(_without_duplicates(there))
    else:
        return [], "its weights are in PyTorch's own format; only *.safetensors is read"
    missing = [name for name in wanted if name not in sizes]
    fault = f"parts of the model are missing: {_some(missing)}" if missing else None
    return [name for name in wanted if name in sizes], fault


def _all_parts(names: list[str]) -> list[str]:
    """These files and all parts that their names say there are."""
    wanted = set(names)
    for match in filter(None, map(PART.match, names)):
        count = int(match["parts"])
        wanted |= {f"{match['stem']}-{n:05d}-of-{count:05d}{SUFFIX}" for n in range(1, count + 1)}
    return sorted(wanted)


def _without_duplicates(names: list[str]) -> list[str]:
    """Mistral's folders hold the same weights twice, once as consolidated*.safetensors."""
    usual = [name for name in names if not name.startswith("consolidated")]
    return usual or names


def _some(names: list[str]) -> str:
    shown = ", ".join(names[:3])
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more"


def outside(folder: Path, names: Iterable[str], root: Path) -> list[str]:
    """Those of the files in `folder` that are links out of `root`."""
    found = []
    for name in names:
        path = folder / name
        try:
            if path.is_symlink() and not path.resolve().is_relative_to(root):
                found.append(name)
        except (OSError, RuntimeError):  # links in a circle
            found.append(name)
    return found
