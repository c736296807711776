"""Tests of `tricorn.model_facts.folder` and `config_json`: what a folder's files tell."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tricorn.model_facts import folder
from tricorn.model_facts.facts import CacheLayers, FileFacts
from tricorn.model_facts.safetensors import Tensor

LLAMA: dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 64,
    "num_hidden_layers": 4,
    "num_attention_heads": 8,
    "num_key_value_heads": 2,
    "max_position_embeddings": 2048,
    "vocab_size": 100,
    "torch_dtype": "bfloat16",
}
TENSORS = [
    Tensor("model.embed_tokens.weight", "BF16", (100, 64), 12800),
    Tensor("model.layers.0.self_attn.q_proj.weight", "BF16", (64, 64), 8192),
]


def facts(
    config: dict[str, Any],
    tensors: list[Tensor] | None = None,
    files: tuple[str, ...] = (),
    *,
    quantisation: str | None = None,
    tokenizer_config: dict[str, Any] | None = None,
) -> FileFacts:
    return folder.facts(
        config,
        TENSORS if tensors is None else tensors,
        files,
        quantisation=quantisation,
        tokenizer_config=tokenizer_config or {},
    )


def test_facts_of_a_model() -> None:
    """What its configuration and the headers of its weights tell."""
    assert facts(LLAMA, tokenizer_config={"chat_template": "x"}) == FileFacts(
        architecture="LlamaForCausalLM",
        parameters=100 * 64 + 64 * 64,
        quantisation="BF16",
        context_trained=2048,
        layers=4,
        width=64,
        heads=8,
        vocabulary=100,
        cache=(CacheLayers(4, 16, 16),),
        weight_bytes=12800 + 8192,
        number_type="bfloat16",
        chat_template=True,
    )


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"head_dim": 32}, [CacheLayers(4, 64, 64)]),
        ({"num_key_value_heads": None}, [CacheLayers(4, 64, 64)]),
        ({"num_key_value_heads": None, "multi_query": True}, [CacheLayers(4, 8, 8)]),
        ({"kv_lora_rank": 512, "qk_rope_head_dim": 64}, [CacheLayers(4, 576, 0)]),
        ({"sliding_window": 128}, [CacheLayers(4, 16, 16, 128)]),
        ({"sliding_window": 128, "use_sliding_window": False}, [CacheLayers(4, 16, 16)]),
        ({"sliding_window": 128, "sliding_window_pattern": 2},
         [CacheLayers(2, 16, 16, 128), CacheLayers(2, 16, 16)]),
        ({"sliding_window": 128,
          "layer_types": ["sliding_attention", "full_attention", "sliding_attention",
                          "sliding_attention"]},
         [CacheLayers(3, 16, 16, 128), CacheLayers(1, 16, 16)]),
        ({"full_attention_interval": 4}, [CacheLayers(1, 16, 16)]),
        ({"layers_block_type": ["mamba", "mamba", "attention", "mamba"]},
         [CacheLayers(1, 16, 16)]),
        ({"model_type": "mamba2"}, []),
        ({"model_type": "xlm-roberta"}, []),
    ],
)  # fmt: skip
def test_caches(config: dict[str, Any], expected: list[CacheLayers]) -> None:
    """By the kinds of attention, layer for layer."""
    assert facts(LLAMA | config).cache == tuple(expected)


@pytest.mark.parametrize("missing", ["num_hidden_layers", "num_attention_heads", "hidden_size"])
def test_too_little_is_told(missing: str) -> None:
    """Unknown is not nothing."""
    assert facts({key: value for key, value in LLAMA.items() if key != missing}).cache is None


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"model_type": "mamba", "intermediate_size": 128, "state_size": 16, "conv_kernel": 4},
         4 * 4 * (128 * 16 + 3 * 128)),
        ({"full_attention_interval": 4, "linear_num_value_heads": 4, "linear_num_key_heads": 2,
          "linear_key_head_dim": 8, "linear_value_head_dim": 8, "linear_conv_kernel_dim": 4},
         3 * 4 * (32 * 8 + 3 * (2 * 16 + 32))),
        ({}, 0),
    ],
)  # fmt: skip
def test_states(config: dict[str, Any], expected: int) -> None:
    """Of layers that keep one in place of tokens."""
    assert facts(LLAMA | config).state_bytes == expected


@pytest.mark.parametrize(
    ("config", "files", "kind"),
    [
        ({}, (), "text"),
        ({}, ("modules.json",), "embedding"),
        ({"model_type": "modernbert"}, (), "embedding"),
        ({"architectures": ["XForSequenceClassification"], "model_type": "bert"}, (), "reranker"),
    ],
)
def test_kinds(config: dict[str, Any], files: tuple[str, ...], kind: str) -> None:
    """By the class, the family, and what lies beside it."""
    assert facts(LLAMA | config, files=files).kind == kind


def test_a_model_that_sees_describes_its_language_part_apart() -> None:
    """What is in it goes first."""
    config = {"architectures": ["VisionModel"], "text_config": LLAMA, "vision_config": {}}
    found = facts(config | {"hidden_size": 7}, files=("chat_template.jinja",))
    assert (found.architecture, found.width, found.layers) == ("VisionModel", 64, 4)
    assert found.abilities == ("generate", "chat", "vision")


@pytest.mark.parametrize(
    ("method", "config", "kind", "label"),
    [
        ("awq", {"quantization_config": {"bits": 4}}, "I32", "awq-4bit"),
        ("gptq", {"quantization_config": {"bits": 8}}, "I32", "gptq-8bit"),
        ("bitsandbytes", {"quantization_config": {"load_in_4bit": True}}, "U8",
         "bitsandbytes-4bit"),
        ("mlx-4bit", {"quantization": {"bits": 4, "group_size": 64}}, "U32", "mlx-4bit"),
        ("fp8", {"quantization_config": {}}, "F8_E4M3", "fp8"),
    ],
)  # fmt: skip
def test_quantised_weights(method: str, config: dict[str, Any], kind: str, label: str) -> None:
    """Several are packed into one number, and what goes with them are no parameters."""
    per_number = {"awq-4bit": 8, "gptq-8bit": 4, "bitsandbytes-4bit": 2, "mlx-4bit": 8, "fp8": 1}
    rest = [
        Tensor("q.scales", "F16", (64, 1), 128),
        Tensor("q.qzeros", "I32", (8, 1), 32),
        Tensor("q.weight_scale_inv", "F32", (1,), 4),
        Tensor("norm.weight", "F16", (64,), 128),
    ]
    found = facts(
        LLAMA | config, [Tensor("q.qweight", kind, (64, 8), 0), *rest], quantisation=method
    )
    assert found.parameters == 64 * 8 * per_number[label] + 64
    assert found.quantisation == label


def test_the_type_of_numbers_without_a_word_in_the_configuration() -> None:
    """Most of the weights have it."""
    config = {key: value for key, value in LLAMA.items() if key != "torch_dtype"}
    tensors = [Tensor("a", "F32", (2,), 8), Tensor("b", "F16", (9,), 18)]
    found = facts(config, tensors)
    assert (found.number_type, found.quantisation) == ("float16", "F16")


def test_the_embedding_table_counts_apart_where_it_is_only_looked_up() -> None:
    """With an output of its own, the model does not compute with it."""
    assert facts(LLAMA).embedding_bytes == 0
    untied = [*TENSORS, Tensor("lm_head.weight", "BF16", (100, 64), 12800)]
    assert facts(LLAMA, untied).embedding_bytes == 12800


ANYTHING = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)
NAMES = [*LLAMA, "text_config", "quantization_config", "layer_types", "sliding_window",
         "kv_lora_rank", "full_attention_interval", "linear_num_value_heads", "dtype"]  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(config=st.dictionaries(st.sampled_from(NAMES), ANYTHING))
def test_any_configuration(config: dict[str, Any]) -> None:
    """Nonsense is as good as absent, and never an exception."""
    for method in (None, "awq"):
        assert isinstance(facts(LLAMA | config, quantisation=method), FileFacts)
