"""LoRA adapters with random weights, as PEFT would write them. Needs numpy, and no engine."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tests.conformance.tiny_model import write_safetensors

RANK = 8
SCALE = 4
"""alpha / r."""


def put(folder: Path, base: str, model: Path, *, seed: int, **config: Any) -> Path:
    """Write an adapter for `base` that changes what it says, and move it to `folder` in one step,
    in the place of one that is there.

    model: a Llama's folder, for its sizes. config: goes over what adapter_config.json says.
    """
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".making-") as name:
        making = Path(name) / "new"
        making.mkdir()
        described = {
            "peft_type": "LORA",
            "task_type": "CAUSAL_LM",
            "base_model_name_or_path": f"someone/{base}",
            "r": RANK,
            "lora_alpha": RANK * SCALE,
            "target_modules": ["q_proj", "v_proj", "down_proj"],
        }
        (making / "adapter_config.json").write_text(json.dumps(described | config))
        write_safetensors(making / "adapter_model.safetensors", weights(model, seed))
        if folder.exists():
            folder.rename(Path(name) / "old")
        making.rename(folder)
    return folder


def weights(model: Path, seed: int) -> dict[str, npt.NDArray[np.float32]]:
    """By PEFT's names: A is [rank, in], B is [out, rank]."""
    config = json.loads((model / "config.json").read_text())
    hidden, mlp = config["hidden_size"], config["intermediate_size"]
    head = config.get("head_dim") or hidden // config["num_attention_heads"]
    sizes = {
        "self_attn.q_proj": (hidden, config["num_attention_heads"] * head),
        "self_attn.v_proj": (hidden, config["num_key_value_heads"] * head),
        "mlp.down_proj": (mlp, hidden),
    }
    random = np.random.default_rng(seed)
    made = {}
    for number in range(config["num_hidden_layers"]):
        for module, (inputs, outputs) in sizes.items():
            name = f"base_model.model.model.layers.{number}.{module}"
            a = random.standard_normal((RANK, inputs), dtype=np.float32) / np.sqrt(inputs)
            b = random.standard_normal((outputs, RANK), dtype=np.float32) / np.sqrt(outputs)
            made[f"{name}.lora_A.weight"] = a.astype(np.float32)
            made[f"{name}.lora_B.weight"] = b.astype(np.float32)
    return made
