"""A tiny Idefics3 with random weights, as a Hugging Face folder: a model that sees, for tests.

    PYTHONPATH=. python tests/conformance/vision_model.py SmolLM2.gguf FOLDER

Its language model is `tiny_model`'s; its eye, of one layer, makes 16 tokens of an image, around
which stand three markers. The tokenizer is SmolLM2's with a few tokens more. Needs numpy, and no
engine.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tests.conformance import tiny_model

VERSION = 1
"""Of the files, for whoever keeps them: another one when they change."""
PIXELS = 64
"""Width and height that every image is brought to."""
PATCH = 8
SHUFFLE = 2
"""Patches in each direction that become one token."""
IMAGE_TOKENS = (PIXELS // PATCH // SHUFFLE) ** 2
PROMPT_TOKENS = IMAGE_TOKENS + 3
"""What an image adds to a prompt."""
EYE = 64
EYE_MLP = 128
EYE_HEADS = 2

_ADDED = ("<image>", "<fake_token_around_image>", "<global-img>", "<end_of_utterance>")

CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<image>{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def make(gguf: Path, folder: Path) -> Path:
    """Write the model's files into `folder`, made where it is missing; it comes back."""
    tiny_model.make(gguf, folder)
    tokenizer = _read(folder / "tokenizer.json")
    first = max(tokenizer["model"]["vocab"].values()) + 1
    tokenizer["added_tokens"] += [
        tokenizer["added_tokens"][0] | {"id": number, "content": text}
        for number, text in enumerate(_ADDED, first)
    ]
    size = first + len(_ADDED)
    processor = {"processor_class": "Idefics3Processor"}
    settings = _read(folder / "tokenizer_config.json") | {"chat_template": CHAT_TEMPLATE}
    _write(folder / "tokenizer.json", tokenizer)
    _write(folder / "tokenizer_config.json", settings | processor)
    _write(folder / "config.json", _config(_read(folder / "config.json"), first, size))
    _write(folder / "preprocessor_config.json", _PREPROCESSOR | processor)
    _write(folder / "processor_config.json", {"image_seq_len": IMAGE_TOKENS} | processor)
    tiny_model.write_safetensors(folder / "model.safetensors", _weights(size))
    return folder


def _config(text: dict[str, Any], image: int, size: int) -> dict[str, Any]:
    ends = {name: text[name] for name in ("bos_token_id", "eos_token_id")}
    return ends | {
        "architectures": ["Idefics3ForConditionalGeneration"],
        "model_type": "idefics3",
        "image_token_id": image,
        "pad_token_id": text["eos_token_id"],
        "scale_factor": SHUFFLE,
        "tie_word_embeddings": False,
        "torch_dtype": "float32",
        "text_config": text | {"vocab_size": size, "pad_token_id": text["eos_token_id"]},
        "vision_config": {
            "model_type": "idefics3_vision",
            "hidden_size": EYE,
            "intermediate_size": EYE_MLP,
            "num_hidden_layers": 1,
            "num_attention_heads": EYE_HEADS,
            "image_size": PIXELS,
            "patch_size": PATCH,
        },
    }


_PREPROCESSOR = {
    "image_processor_type": "Idefics3ImageProcessor",
    "do_resize": True,
    "size": {"longest_edge": PIXELS},
    "max_image_size": {"longest_edge": PIXELS},
    "do_image_splitting": False,
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
    "image_mean": [0.5, 0.5, 0.5],
    "image_std": [0.25, 0.25, 0.25],
    "do_pad": True,
    "do_convert_rgb": True,
}


def _weights(vocab_size: int) -> dict[str, npt.NDArray[np.float32]]:
    random = np.random.default_rng(tiny_model.SEED + 1)

    def normal(*shape: int, deviation: float) -> npt.NDArray[np.float32]:
        return random.standard_normal(shape, dtype=np.float32) * np.float32(deviation)

    def linear(name: str, out: int, into: int) -> dict[str, npt.NDArray[np.float32]]:
        return {
            f"{name}.weight": normal(out, into, deviation=into**-0.5),
            f"{name}.bias": np.zeros(out, dtype=np.float32),
        }

    def norm(name: str) -> dict[str, npt.NDArray[np.float32]]:
        return {
            f"{name}.weight": np.ones(EYE, dtype=np.float32),
            f"{name}.bias": np.zeros(EYE, dtype=np.float32),
        }

    made = {
        name.replace("model.", "model.text_model.", 1): tensor
        for name, tensor in tiny_model.weights(vocab_size).items()
    }
    eye = "model.vision_model"
    layer = f"{eye}.encoder.layers.0"
    patches = (PIXELS // PATCH) ** 2
    made |= {
        f"{eye}.embeddings.patch_embedding.weight": normal(
            EYE, 3, PATCH, PATCH, deviation=(3 * PATCH * PATCH) ** -0.5
        ),
        f"{eye}.embeddings.patch_embedding.bias": np.zeros(EYE, dtype=np.float32),
        f"{eye}.embeddings.position_embedding.weight": normal(patches, EYE, deviation=0.5),
        "model.connector.modality_projection.proj.weight": normal(
            tiny_model.HIDDEN, EYE * SHUFFLE**2, deviation=(EYE * SHUFFLE**2) ** -0.5
        ),
    }
    made |= norm(f"{layer}.layer_norm1") | norm(f"{layer}.layer_norm2")
    made |= norm(f"{eye}.post_layernorm")
    for part in ("q_proj", "k_proj", "v_proj", "out_proj"):
        made |= linear(f"{layer}.self_attn.{part}", EYE, EYE)
    made |= linear(f"{layer}.mlp.fc1", EYE_MLP, EYE) | linear(f"{layer}.mlp.fc2", EYE, EYE_MLP)
    return made


def _read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def _write(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1), encoding="utf-8")


if __name__ == "__main__":
    print(make(Path(sys.argv[1]), Path(sys.argv[2])))
