"""Tests of `tricorn.model_facts.gguf_cache`: what is kept of each token, by architecture."""

from __future__ import annotations

from typing import Any

import pytest

from tricorn.model_facts.facts import CacheLayers
from tricorn.model_facts.gguf_cache import cache_layers, state_bytes
from tricorn.model_facts.gguf_keys import Keys


def keys(architecture: str, **own: Any) -> Keys:
    """Double underscores stand for dots."""
    metadata = {f"{architecture}.{key.replace('__', '.')}": value for key, value in own.items()}
    return Keys({"general.architecture": architecture} | metadata)


PLAIN = {
    "block_count": 4,
    "embedding_length": 64,
    "attention__head_count": 8,
    "attention__head_count_kv": 2,
}


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        ({}, [CacheLayers(4, 16, 16)]),
        ({"attention__head_count_kv": None}, [CacheLayers(4, 64, 64)]),
        ({"attention__head_count": None, "attention__head_count_kv": None},
         [CacheLayers(4, 64, 64)]),
        ({"attention__key_length": 32, "attention__value_length": 16}, [CacheLayers(4, 64, 32)]),
        ({"attention__head_count_kv": (2, 0, 1, 0)},
         [CacheLayers(1, 16, 16), CacheLayers(1, 8, 8)]),
        # Latent attention: one head, whose keys hold the values.
        ({"attention__head_count_kv": 1, "attention__key_length": 576,
          "attention__value_length": 512, "attention__key_length_mla": 192},
         [CacheLayers(4, 576, 0)]),
        ({"attention__sliding_window": 128}, [CacheLayers(4, 16, 16)]),
        ({"attention__sliding_window": 128,
          "attention__sliding_window_pattern": (True, True, False, True),
          "attention__key_length": 16, "attention__key_length_swa": 8},
         [CacheLayers(3, 16, 16, 128), CacheLayers(1, 32, 16)]),
        ({"attention__shared_kv_layers": 3}, [CacheLayers(1, 16, 16)]),
        ({"nextn_predict_layers": 1}, [CacheLayers(3, 16, 16)]),
        ({"attention__causal": False}, []),
    ],
)  # fmt: skip
def test_attention(own: dict[str, Any], expected: list[CacheLayers]) -> None:
    """Layers that are alike are counted together."""
    given = {key: value for key, value in (PLAIN | own).items() if value is not None}
    assert cache_layers(keys("some", **given)) == tuple(expected)
    assert state_bytes(keys("some", **given)) == 0


@pytest.mark.parametrize("missing", ["block_count", "embedding_length"])
def test_too_little_is_told(missing: str) -> None:
    """Unknown is not nothing."""
    given = {key: value for key, value in PLAIN.items() if key != missing}
    assert cache_layers(keys("some", **given)) is None


MAMBA = {"ssm__inner_size": 128, "ssm__state_size": 16, "ssm__conv_kernel": 4}


@pytest.mark.parametrize(
    ("architecture", "own", "layers", "state"),
    [
        ("mamba", {"attention__head_count": 0, **MAMBA}, 0, 4 * 4 * (3 * 128 + 16 * 128)),
        ("mamba2", {"attention__head_count": 0, "ssm__group_count": 2, **MAMBA}, 0,
         4 * 4 * (3 * (128 + 2 * 2 * 16) + 16 * 128)),
        ("rwkv7", {"wkv__head_size": 8, "token_shift_count": 2}, 0, 4 * 4 * (2 * 64 + 8 * 64)),
        ("qwen3next", MAMBA, 1, 3 * 4 * (3 * 128 + 16 * 128)),
        ("new", {"full_attention_interval": 2, **MAMBA}, 2, 2 * 4 * (3 * 128 + 16 * 128)),
        ("jamba", {"attention__head_count_kv": (0, 0, 2, 0), **MAMBA}, 1,
         3 * 4 * (3 * 128 + 16 * 128)),
        ("lfm2", {"attention__head_count_kv": (0, 2, 0, 2), "shortconv__l_cache": 3}, 2,
         2 * 4 * 2 * 64),
        ("falcon-h1", MAMBA, 4, 4 * 4 * (3 * 128 + 16 * 128)),
    ],
)  # fmt: skip
def test_recurrent_layers(architecture: str, own: dict[str, Any], layers: int, state: int) -> None:
    """They keep a state, and only the others keep tokens."""
    given = keys(architecture, **(PLAIN | own))
    found = cache_layers(given)
    assert found is not None
    assert sum(one.count for one in found) == layers
    assert state_bytes(given) == state
