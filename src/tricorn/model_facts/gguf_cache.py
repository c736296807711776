"""What llama.cpp keeps of each token and of each sequence, from the metadata of a GGUF file.

Source: llama.cpp, `llama-hparams.cpp` (the widths), `llama-kv-cache.cpp` (no values where attention
is latent) and `llama-memory-recurrent.cpp` (states are f32).
"""

from __future__ import annotations

from collections import Counter

from tricorn.model_facts.facts import CacheLayers
from tricorn.model_facts.gguf_keys import Keys

FULL_ATTENTION_EVERY = {"qwen3next": 4, "qwen35": 4, "qwen35moe": 4}
"""Of architectures where the others are recurrent, which their files may say or not."""
BOTH_IN_EACH_LAYER = frozenset({"falcon-h1"})
"""Attention and a recurrent state side by side."""
STATE_NUMBER_BYTES = 4


def cache_layers(keys: Keys) -> tuple[CacheLayers, ...] | None:
    """None where the file tells no layers or widths."""
    width = keys.own_number("embedding_length")
    if not keys.layers or width is None:
        return None
    if _is_recurrent_only(keys):
        return ()
    if keys.boolean("attention.causal") is False:
        return ()  # an encoder sees its text at once
    # A single head of the whole width takes as much as all of them.
    heads = keys.per_layer("attention.head_count") or (1,) * keys.layers
    kv_heads = keys.per_layer("attention.head_count_kv") or heads
    usual = width // max(1, *heads)
    key_length = keys.own_number("attention.key_length") or usual
    value_length = keys.own_number("attention.value_length") or usual
    # Where attention is latent, the values are a part of the keys.
    is_latent = bool(keys.own_number("attention.key_length_mla"))
    groups: Counter[tuple[int, int, int | None]] = Counter()
    for layer in range(_layers_with_cache(keys)):
        if not kv_heads[layer] or _is_recurrent(keys, layer):
            continue
        keys_each, values_each = key_length, value_length
        window = _window(keys, layer)
        if window is not None:
            keys_each = keys.own_number("attention.key_length_swa") or keys_each
            values_each = keys.own_number("attention.value_length_swa") or values_each
        values = 0 if is_latent else kv_heads[layer] * values_each
        groups[kv_heads[layer] * keys_each, values, window] += 1
    return tuple(CacheLayers(count, *group) for group, count in groups.items())


def _layers_with_cache(keys: Keys) -> int:
    """The last ones may use another's, or only be there to guess ahead."""
    without = keys.own_number("attention.shared_kv_layers") or 0
    without += keys.own_number("nextn_predict_layers") or 0
    return max(0, keys.layers - without)


def _window(keys: Keys, layer: int) -> int | None:
    """Only where the file says which layers have one; where it is the architecture that knows, all
    count as looking back without end, which is what llama.cpp gives room for anyway."""
    pattern = keys.own("attention.sliding_window_pattern")
    if isinstance(pattern, tuple) and layer < len(pattern) and pattern[layer]:
        return keys.own_number("attention.sliding_window")
    return None


# --- recurrent layers -----------------------------------------------------------------------------


def state_bytes(keys: Keys) -> int:
    """Of one sequence."""
    convolved, state = _state_widths(keys)
    count = sum(
        1
        for layer in range(keys.layers)
        if _is_recurrent(keys, layer) or keys.architecture in BOTH_IN_EACH_LAYER
    )
    return STATE_NUMBER_BYTES * (convolved + state) * count


def _state_widths(keys: Keys) -> tuple[int, int]:
    """Numbers that a recurrent layer keeps of what it convolves, and of its state."""
    width = keys.own_number("embedding_length") or 0
    head = keys.own_number("wkv.head_size")
    if head:
        return (keys.own_number("token_shift_count") or 2) * width, head * width
    short = keys.own_number("shortconv.l_cache")
    if short:
        return max(0, short - 1) * width, 0
    inner = keys.own_number("ssm.inner_size") or 0
    depth = keys.own_number("ssm.state_size") or 0
    groups = keys.own_number("ssm.group_count") or 0
    kernel = keys.own_number("ssm.conv_kernel") or 0
    return max(0, kernel - 1) * (inner + 2 * groups * depth), depth * inner


def _is_recurrent_only(keys: Keys) -> bool:
    heads = keys.per_layer("attention.head_count")
    has_state = sum(_state_widths(keys)) > 0
    return has_state and (heads is None or not any(heads) or keys.own("wkv.head_size") is not None)


def _is_recurrent(keys: Keys, layer: int) -> bool:
    if sum(_state_widths(keys)) == 0 or keys.architecture in BOTH_IN_EACH_LAYER:
        return False
    if _is_recurrent_only(keys):
        return True
    every = keys.own_number("full_attention_interval")
    every = every or FULL_ATTENTION_EVERY.get(keys.architecture or "")
    if every:
        return (layer + 1) % every != 0
    kv_heads = keys.per_layer("attention.head_count_kv")
    return kv_heads is not None and kv_heads[layer] == 0
