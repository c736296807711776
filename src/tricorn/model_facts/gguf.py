"""What a GGUF file tells of its model, and whether all of it is there."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from tricorn.model_facts import gguf_cache, gguf_header
from tricorn.model_facts.facts import FileFacts, Kind, PoolingType
from tricorn.model_facts.gguf_header import GgufError, Header, Length, Tensor
from tricorn.model_facts.gguf_keys import Keys
from tricorn.model_facts.gguf_types import FILE_TYPES, TENSOR_TYPES

POOLING: dict[int, PoolingType] = {1: "mean", 2: "cls", 3: "last", 4: "rank"}
"""llama.cpp's numbers; 0 is none."""
DEFAULT_ALIGNMENT = 32
NO_MODELS = {
    "adapter": "a LoRA adapter, not a model",
    "mmproj": "the eye of another model: put mmproj into its name and it beside that model",
    "imatrix": "measurements for a quantiser, not a model",
}
"""`general.type` → why it is not served by itself."""


@dataclass(frozen=True)
class GgufFile:
    """One file, which may be a part of a model."""

    facts: FileFacts
    fault: str | None = None
    part: int = 0
    """Of `parts`, from 0."""
    parts: int = 1


def inspect(path: Path) -> GgufFile:
    """Never raises: what cannot be read is a fault."""
    try:
        header = gguf_header.read(path)
    except GgufError as error:
        return GgufFile(FileFacts(), str(error))
    keys = Keys(header.metadata)
    part, parts = keys.number("split.no") or 0, keys.number("split.count") or 1
    return GgufFile(_facts(header, keys), _fault(header, keys), part, parts)


def whole(files: Sequence[GgufFile]) -> FileFacts:
    """The facts of a model from its files, the first one first: it has the metadata."""
    first, rest = files[0].facts, [file.facts for file in files[1:]]
    if not rest:
        return first
    counts = [facts.parameters for facts in (first, *rest)]
    known = [count for count in counts if count is not None]
    return msgspec.structs.replace(
        first,
        parameters=sum(known) if len(known) == len(counts) else None,
        weight_bytes=sum(facts.weight_bytes for facts in (first, *rest)),
        embedding_bytes=max(facts.embedding_bytes for facts in (first, *rest)),
        quantisation=first.quantisation or rest[0].quantisation,
        classifier=any(facts.classifier for facts in (first, *rest)),
    )


# --- whole or not -------------------------------------------------------------------------------


def _fault(header: Header, keys: Keys) -> str | None:
    other = NO_MODELS.get(str(keys.text("general.type")))
    if other is None and keys.architecture == "clip":
        other = NO_MODELS["mmproj"]
    if other is not None:
        return other
    if not header.tensors:
        # The first part of a split model may hold the metadata alone.
        split = (keys.number("split.count") or 1) > 1
        return None if split else "the file holds no tensors (a vocabulary only)"
    needed = needed_size(header)
    if needed is None:
        return "its header gives an alignment that is no power of two"
    if needed > header.file_size:
        return f"the file is incomplete: {header.file_size} of {needed} bytes"
    return None


def needed_size(header: Header) -> int | None:
    """Bytes that the file must have for its tensors; at least, where a tensor is of a type that is
    not known here. None: its alignment makes no sense."""
    alignment = header.metadata.get("general.alignment", DEFAULT_ALIGNMENT)
    if not isinstance(alignment, int) or alignment < 1 or alignment & (alignment - 1):
        return None
    begin = -(-header.end // alignment) * alignment
    return begin + max(tensor.offset + (_size(tensor) or 0) for tensor in header.tensors)


def _size(tensor: Tensor) -> int | None:
    """Bytes; None: its type is not known here."""
    known = TENSOR_TYPES.get(tensor.kind)
    if known is None:
        return None
    # Each row is made of whole blocks.
    row = tensor.shape[0] if tensor.shape else 1
    return -(-row // known.block) * known.size * math.prod(tensor.shape[1:])


# --- facts --------------------------------------------------------------------------------------


def _facts(header: Header, keys: Keys) -> FileFacts:
    pooling = POOLING.get(keys.own_number("pooling_type") or 0)
    sizes = {tensor.name: _size(tensor) or 0 for tensor in header.tensors}
    return FileFacts(
        architecture=keys.architecture,
        name=keys.text("general.name"),
        parameters=sum(math.prod(tensor.shape) for tensor in header.tensors),
        quantisation=_quantisation(header, keys),
        context_trained=keys.own_number("context_length"),
        layers=keys.own_number("block_count"),
        width=keys.own_number("embedding_length"),
        heads=max(keys.per_layer("attention.head_count") or (0,)) or None,
        vocabulary=_vocabulary(keys),
        cache=gguf_cache.cache_layers(keys),
        state_bytes=gguf_cache.state_bytes(keys),
        weight_bytes=sum(sizes.values()),
        embedding_bytes=_lookup_only(sizes),
        kind=_kind(pooling, keys),
        pooling=pooling,
        chat_template="tokenizer.chat_template" in header.metadata,
        classifier=any(tensor.name.startswith("cls.") for tensor in header.tensors),
    )


def _kind(pooling: str | None, keys: Keys) -> Kind:
    if pooling == "rank":
        return "reranker"
    is_encoder = keys.boolean("attention.causal") is False
    return "embedding" if pooling is not None or is_encoder else "text"


def _vocabulary(keys: Keys) -> int | None:
    tokens = keys.metadata.get("tokenizer.ggml.tokens")
    return tokens.count if isinstance(tokens, Length) else keys.own_number("vocab_size")


def _quantisation(header: Header, keys: Keys) -> str | None:
    """As the quantiser has called it, or else the type of most of the weights."""
    file_type = keys.number("general.file_type")
    if file_type in FILE_TYPES:
        return FILE_TYPES[file_type]
    numbers: Counter[int] = Counter()
    for tensor in header.tensors:
        numbers[tensor.kind] += math.prod(tensor.shape)
    for kind, _count in numbers.most_common(1):
        return TENSOR_TYPES[kind].name if kind in TENSOR_TYPES else None
    return None


def _lookup_only(sizes: dict[str, int]) -> int:
    # Without a tensor of its own for the output, the table is computed with there.
    has_output = "output.weight" in sizes or not any(name.startswith("output") for name in sizes)
    return sizes.get("token_embd.weight", 0) if has_output else 0
