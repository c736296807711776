"""What the files of a Hugging Face or MLX folder tell of their model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from tricorn.model_facts import config_json
from tricorn.model_facts.config_json import Config
from tricorn.model_facts.facts import FileFacts, Kind
from tricorn.model_facts.safetensors import TYPE_NAMES, Tensor

SENTENCE_TRANSFORMERS = "modules.json"
"""The file by which sentence-transformers describes how vectors are made."""
TEMPLATES = ("chat_template.jinja", "chat_template.json")

HELPERS = (
    ".scales",
    ".biases",
    ".qzeros",
    ".g_idx",
    ".absmax",
    ".quant_map",
    ".weight_scale",
    ".weight_scale_inv",
    ".weight_scale_2",
    ".weight_shape",
    ".weight_zero_point",
    ".input_scale",
    ".k_scale",
    ".v_scale",
    "_scales",
)
"""How the names of tensors end that belong to quantised weights and are no parameters."""
PACKED = {"I32": 32, "U32": 32, "I64": 64, "U8": 8}
"""Bits of the integers that several quantised weights are packed into."""
EMBEDDING_TABLES = ("embed_tokens.weight", "wte.weight", "word_embeddings.weight")
OUTPUT = "lm_head.weight"


def facts(
    whole_config: Mapping[str, Any],
    tensors: Collection[Tensor],
    files: Collection[str],
    *,
    quantisation: str | None,
    tokenizer_config: Mapping[str, Any],
) -> FileFacts:
    """files: the names in the folder. quantisation: the method, None for plain weights."""
    config = Config(whole_config)
    kind = _kind(config, files)
    number_type = config.number_type or _number_type(tensors)
    return FileFacts(
        architecture=config.architecture,
        parameters=_parameters(tensors, config.bits() if quantisation else None) or None,
        quantisation=_label(quantisation, config.bits()) or _plain(number_type),
        context_trained=config.context_trained,
        layers=config.layers,
        width=config.number(*config_json.WIDTH),
        heads=config.number(*config_json.HEADS),
        vocabulary=config.number("vocab_size"),
        cache=() if _is_encoder(config) else config_json.cache_layers(config),
        state_bytes=config_json.state_bytes(config),
        weight_bytes=sum(tensor.size for tensor in tensors),
        embedding_bytes=_lookup_only(config, tensors),
        number_type=number_type,
        kind=kind,
        chat_template="chat_template" in tokenizer_config or _has_any(files, TEMPLATES),
        vision=config.vision,
    )


def _has_any(files: Collection[str], names: Iterable[str]) -> bool:
    return any(name in files for name in names)


def _kind(config: Config, files: Collection[str]) -> Kind:
    if (config.architecture or "").endswith("ForSequenceClassification"):
        return "reranker"
    is_for_vectors = SENTENCE_TRANSFORMERS in files or _is_encoder(config)
    return "embedding" if is_for_vectors else "text"


def _is_encoder(config: Config) -> bool:
    """BERT and its like, which see a text at once and keep nothing."""
    if config.get("is_decoder") is True:
        return False
    name = (config.text("model_type") or "").replace("-", "_")
    return "bert" in name or name in ("xlm_roberta", "mpnet", "electra", "new", "nomic")


def _parameters(tensors: Iterable[Tensor], bits: int | None) -> int:
    """Of weights that are packed, what they stand for."""
    count = 0
    for tensor in tensors:
        if tensor.name.endswith(HELPERS):
            continue
        packed = PACKED.get(tensor.kind, 0) if bits else 0
        count += tensor.numbers * packed // bits if bits and packed else tensor.numbers
    return count


def _number_type(tensors: Iterable[Tensor]) -> str | None:
    """Of most of the weights that are no integers."""
    numbers: Counter[str] = Counter()
    for tensor in tensors:
        if tensor.kind in TYPE_NAMES:
            numbers[TYPE_NAMES[tensor.kind]] += tensor.numbers
    return next((name for name, _count in numbers.most_common(1)), None)


def _label(method: str | None, bits: int | None) -> str | None:
    if method is None or method.endswith("bit") or bits is None:
        return method
    return f"{method}-{bits}bit"


def _plain(number_type: str | None) -> str | None:
    """As GGUF files name it."""
    return next((short for short, name in TYPE_NAMES.items() if name == number_type), None)


def _lookup_only(config: Config, tensors: Collection[Tensor]) -> int:
    has_output = any(tensor.name.endswith(OUTPUT) for tensor in tensors)
    if not has_output and not _is_encoder(config):
        return 0
    return max((one.size for one in tensors if one.name.endswith(EMBEDDING_TABLES)), default=0)
