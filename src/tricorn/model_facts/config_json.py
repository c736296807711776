"""What a config.json of Hugging Face's says of a model. Whatever it holds, nothing here raises.

Source: transformers' configuration classes, which name the same thing differently from family to
family. Models that see describe their language part apart, in `text_config`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from tricorn.model_facts.facts import CacheLayers

MOST = 1 << 40
MOST_LAYERS = 4096

LAYERS = ("num_hidden_layers", "n_layer", "n_layers", "num_layers")
WIDTH = ("hidden_size", "n_embd", "d_model")
HEADS = ("num_attention_heads", "n_head", "n_heads")
KV_HEADS = ("num_key_value_heads", "n_head_kv", "num_kv_heads", "multi_query_group_num")
CONTEXT = ("max_position_embeddings", "n_positions", "max_seq_len", "seq_length")

STATE_ONLY = frozenset({"mamba", "mamba2", "falcon_mamba", "rwkv"})
"""Model types that keep nothing for each token."""
STATE_NUMBER_BYTES = 4


class Config:
    """The language part of a configuration, over the whole of it."""

    def __init__(self, whole: Mapping[str, Any]) -> None:
        self.whole = whole
        inner = whole.get("text_config")
        self._text: Mapping[str, Any] = inner if isinstance(inner, dict) else {}

    def get(self, name: str) -> Any:
        found = self._text.get(name)
        return self.whole.get(name) if found is None else found

    def number(self, *names: str) -> int | None:
        """The first of these that is there and a count."""
        for name in names:
            value = self.get(name)
            if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= MOST:
                return value
        return None

    def text(self, name: str) -> str | None:
        value = self.get(name)
        return value if isinstance(value, str) and value else None

    @property
    def architecture(self) -> str | None:
        """The class that the model is made of, or else the family."""
        names = self.whole.get("architectures")
        if isinstance(names, list) and names and isinstance(names[0], str):
            return names[0]
        return self.text("model_type")

    @property
    def layers(self) -> int | None:
        return self.number(*LAYERS)

    @property
    def context_trained(self) -> int | None:
        return self.number(*CONTEXT)

    @property
    def number_type(self) -> str | None:
        """float32, bfloat16 and so on; older files call it torch_dtype."""
        named = self.text("dtype") or self.text("torch_dtype")
        return named.removeprefix("torch.") if named else None

    @property
    def vision(self) -> bool:
        return isinstance(self.whole.get("vision_config"), dict)

    def bits(self) -> int | None:
        """Of a quantised weight."""
        for name in ("quantization", "quantization_config"):
            described = self.get(name)
            if not isinstance(described, dict):
                continue
            if described.get("load_in_4bit") is True:
                return 4
            value = described.get("bits", described.get("w_bit"))
            if isinstance(value, int) and 0 < value <= 32:
                return value
        return None


def cache_layers(config: Config) -> tuple[CacheLayers, ...] | None:
    """None where the file tells no layers or heads."""
    if config.text("model_type") in STATE_ONLY:
        return ()
    heads, width, layers = config.number(*HEADS), config.number(*WIDTH), config.layers
    latent = config.number("kv_lora_rank")
    if layers is None or heads is None:
        return None
    if latent is not None:
        # Attention is latent: keys and values are made from one vector, kept once.
        keys, values = latent + (config.number("qk_rope_head_dim") or 0), 0
    else:
        head = config.number("head_dim") or (width or 0) // heads
        keys = values = (config.number(*KV_HEADS) or _fewest(config, heads)) * head
    if not keys:
        return None
    groups: Counter[int | None] = Counter()
    for layer in range(min(layers, MOST_LAYERS)):
        if not _is_recurrent(config, layer):
            groups[_window(config, layer)] += 1
    return tuple(CacheLayers(count, keys, values, window) for window, count in groups.items())


def _fewest(config: Config, heads: int) -> int:
    return 1 if config.get("multi_query") is True else heads


def _layer_type(config: Config, layer: int) -> str | None:
    for name in ("layer_types", "layers_block_type"):
        types = config.get(name)
        if isinstance(types, list) and layer < len(types) and isinstance(types[layer], str):
            return str(types[layer])
    return None


def _is_recurrent(config: Config, layer: int) -> bool:
    kind = _layer_type(config, layer)
    if kind is not None:
        return kind in ("linear_attention", "mamba", "conv", "recurrent")
    every = config.number("full_attention_interval")
    return every is not None and (layer + 1) % every != 0


def _window(config: Config, layer: int) -> int | None:
    window = config.number("sliding_window")
    if window is None or config.get("use_sliding_window") is False:
        return None
    kind = _layer_type(config, layer)
    if kind is not None:
        return window if kind == "sliding_attention" else None
    every = config.number("sliding_window_pattern")
    return None if every is not None and (layer + 1) % every == 0 else window


def state_bytes(config: Config) -> int:
    """Of one sequence, in the layers that keep a state in place of tokens: Qwen's linear attention
    and Mamba's."""
    layers = config.layers or 0
    if config.text("model_type") in STATE_ONLY:
        count = layers
    else:
        count = sum(1 for layer in range(min(layers, MOST_LAYERS)) if _is_recurrent(config, layer))
    value_heads = config.number("linear_num_value_heads")
    if value_heads is not None:
        depth = config.number("linear_key_head_dim") or 0
        values = value_heads * (config.number("linear_value_head_dim") or 0)
        keys = depth * (config.number("linear_num_key_heads") or 0)
        kernel = config.number("linear_conv_kernel_dim") or 1
        numbers = values * depth + (kernel - 1) * (2 * keys + values)
    else:
        inner = config.number("mamba_intermediate_size", "intermediate_size") or 0
        depth = config.number("state_size", "mamba_d_state", "ssm_state_size") or 0
        kernel = config.number("conv_kernel", "mamba_d_conv") or 1
        numbers = inner * depth + (kernel - 1) * inner if depth else 0
    return STATE_NUMBER_BYTES * numbers * count
