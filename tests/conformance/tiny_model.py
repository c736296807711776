"""A tiny Llama with random weights, as a Hugging Face folder: fast enough for any engine.

    python tests/conformance/tiny_model.py SmolLM2.gguf FOLDER

It has the tokenizer and the chat template of the GGUF (SmolLM2's), float32 weights that are the
same on every machine, and nothing to say: its answers are varied nonsense, which is what tests of
streaming, stop strings, seeds and logprobs want. Needs numpy, and no engine.
"""

from __future__ import annotations

import json
import struct
import sys
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

LAYERS = 2
HIDDEN = 64
HEADS = 2
KV_HEADS = 1
HEAD = 32
"""The smallest head that every engine's attention knows."""
MLP = 128
CONTEXT = 2048
SEED = 20

_CONTROL = 3
"""GGUF's token type of control tokens."""


def make(gguf: Path, folder: Path) -> Path:
    """Write the model's files into `folder`, made where it is missing; it comes back."""
    facts = metadata(gguf)
    folder.mkdir(parents=True, exist_ok=True)
    tokens = facts["tokenizer.ggml.tokens"]
    bos = facts["tokenizer.ggml.bos_token_id"]
    eos = facts["tokenizer.ggml.eos_token_id"]
    _write(folder / "config.json", _config(len(tokens), bos, eos))
    _write(folder / "generation_config.json", {"bos_token_id": bos, "eos_token_id": eos})
    _write(folder / "tokenizer.json", _tokenizer(facts))
    _write(
        folder / "tokenizer_config.json",
        {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "bos_token": tokens[bos],
            "eos_token": tokens[eos],
            "model_max_length": CONTEXT,
            "clean_up_tokenization_spaces": False,
            "chat_template": facts["tokenizer.chat_template"],
        },
    )
    write_safetensors(folder / "model.safetensors", weights(len(tokens)))
    return folder


def weights(vocab_size: int) -> dict[str, npt.NDArray[np.float32]]:
    """By their Hugging Face names; linear layers are [out, in]."""
    random = np.random.default_rng(SEED)

    def normal(rows: int, columns: int, deviation: float) -> npt.NDArray[np.float32]:
        return random.standard_normal((rows, columns), dtype=np.float32) * np.float32(deviation)

    def ones() -> npt.NDArray[np.float32]:
        return np.ones(HIDDEN, dtype=np.float32)

    made = {"model.embed_tokens.weight": normal(vocab_size, HIDDEN, 1.0)}
    for number in range(LAYERS):
        layer = f"model.layers.{number}"
        made |= {
            f"{layer}.input_layernorm.weight": ones(),
            f"{layer}.self_attn.q_proj.weight": normal(HEADS * HEAD, HIDDEN, 0.2),
            f"{layer}.self_attn.k_proj.weight": normal(KV_HEADS * HEAD, HIDDEN, 0.2),
            f"{layer}.self_attn.v_proj.weight": normal(KV_HEADS * HEAD, HIDDEN, 0.2),
            f"{layer}.self_attn.o_proj.weight": normal(HIDDEN, HEADS * HEAD, 0.2),
            f"{layer}.post_attention_layernorm.weight": ones(),
            f"{layer}.mlp.gate_proj.weight": normal(MLP, HIDDEN, 0.2),
            f"{layer}.mlp.up_proj.weight": normal(MLP, HIDDEN, 0.2),
            f"{layer}.mlp.down_proj.weight": normal(HIDDEN, MLP, 0.2),
        }
    made["model.norm.weight"] = ones()
    # Logits with a deviation of about 2.5: a distribution with clear favourites.
    made["lm_head.weight"] = normal(vocab_size, HIDDEN, 0.3)
    return made


def _config(vocab_size: int, bos: int, eos: int) -> dict[str, Any]:
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": HIDDEN,
        "intermediate_size": MLP,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "num_key_value_heads": KV_HEADS,
        "head_dim": HEAD,
        "hidden_act": "silu",
        "max_position_embeddings": CONTEXT,
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "attention_bias": False,
        "mlp_bias": False,
        "tie_word_embeddings": False,
        "vocab_size": vocab_size,
        "bos_token_id": bos,
        "eos_token_id": eos,
        "torch_dtype": "float32",
    }


def _tokenizer(facts: dict[str, Any]) -> dict[str, Any]:
    """The tokenizers library's description of it: byte-level BPE, each digit a token."""
    tokens = facts["tokenizer.ggml.tokens"]
    byte_level = {
        "type": "ByteLevel",
        "add_prefix_space": False,
        "trim_offsets": True,
        "use_regex": True,
    }
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {
                "id": number,
                "content": text,
                "single_word": False,
                "lstrip": False,
                "rstrip": False,
                "normalized": False,
                "special": True,
            }
            for number, text in enumerate(tokens)
            if facts["tokenizer.ggml.token_type"][number] == _CONTROL
        ],
        "normalizer": None,
        "pre_tokenizer": {
            "type": "Sequence",
            "pretokenizers": [{"type": "Digits", "individual_digits": True}, byte_level],
        },
        "post_processor": None,
        "decoder": byte_level,
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": {text: number for number, text in enumerate(tokens)},
            "merges": [pair.split(" ") for pair in facts["tokenizer.ggml.merges"]],
        },
    }


def _write(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1), encoding="utf-8")


def write_safetensors(path: Path, tensors: dict[str, npt.NDArray[np.float32]]) -> None:
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, tensor in tensors.items():
        start, end = end, end + tensor.nbytes
        header[name] = {"dtype": "F32", "shape": tensor.shape, "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for tensor in tensors.values():
            file.write(tensor.astype("<f4").tobytes())


# --- GGUF -------------------------------------------------------------------------------------

_SCALARS = dict(enumerate("BbHhIif?", start=0)) | {10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9


def metadata(gguf: Path) -> dict[str, Any]:
    """A GGUF file's key-value pairs."""
    with gguf.open("rb") as file:
        magic, _version, _tensors, pairs = struct.unpack("<4sIQQ", file.read(24))
        assert magic == b"GGUF", gguf
        return {_value(file, _STRING): _value(file, _scalar(file, "I")) for _ in range(pairs)}


def _value(file: BinaryIO, kind: int) -> Any:
    if kind == _STRING:
        return file.read(_scalar(file, "Q")).decode("utf-8", "replace")
    if kind == _ARRAY:
        inner = _scalar(file, "I")
        return [_value(file, inner) for _ in range(_scalar(file, "Q"))]
    return _scalar(file, _SCALARS[kind])


def _scalar(file: BinaryIO, code: str) -> Any:
    return struct.unpack(f"<{code}", file.read(struct.calcsize(code)))[0]


if __name__ == "__main__":
    print(make(Path(sys.argv[1]), Path(sys.argv[2])))
