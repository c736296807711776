"""Whether an adapter fits its model."""

from __future__ import annotations

import json
import re
import struct
from pathlib import Path

import pytest

from tricorn.engines.vllm.adapter_shapes import mismatch, shapes

Q = "model.layers.0.self_attn.q_proj"
MODEL = {f"{Q}.weight": (64, 32), "model.norm.weight": (32,)}


def adapter(inputs: int, outputs: int, layer: str = Q) -> dict[str, tuple[int, ...]]:
    return {
        f"base_model.model.{layer}.lora_A.weight": (8, inputs),
        f"base_model.model.{layer}.lora_B.weight": (outputs, 8),
    }


def put(file: Path, tensors: dict[str, tuple[str, tuple[int, ...]]]) -> None:
    """A safetensors file's header; the tensors are not read."""
    header = {name: {"dtype": kind, "shape": shape} for name, (kind, shape) in tensors.items()}
    text = json.dumps({"__metadata__": {"format": "pt"}} | header).encode()
    file.write_bytes(struct.pack("<Q", len(text)) + text)


def test_one_that_fits() -> None:
    """Inputs and outputs are the model's."""
    assert mismatch(adapter(32, 64), MODEL) is None


@pytest.mark.parametrize(
    ("inputs", "outputs", "told"), [(16, 64, "16 inputs, .* 32"), (32, 128, "128 outputs, .* 64")]
)
def test_one_of_another_model(inputs: int, outputs: int, told: str) -> None:
    """The layer is named, with both sizes."""
    found = mismatch(adapter(inputs, outputs), MODEL)
    assert found is not None
    assert re.fullmatch(f"its {Q} has {told}", found)


@pytest.mark.parametrize("layer", ["model.layers.7.self_attn.q_proj", "model.norm", "a"])
def test_what_cannot_be_compared(layer: str) -> None:
    """Layers under other names, and weights that are no matrix, are left to vLLM."""
    assert mismatch(adapter(1, 1, layer), MODEL) is None


def test_shapes_of_a_folder(tmp_path: Path) -> None:
    """Of all its files; packed weights and files that cannot be read are passed over."""
    put(tmp_path / "a.safetensors", {"x": ("BF16", (2, 3)), "packed": ("U8", (9, 9))})
    put(tmp_path / "b.safetensors", {"y": ("F32", (4,))})
    (tmp_path / "c.safetensors").write_bytes(b"\xff" * 20)
    (tmp_path / "d.safetensors").write_bytes(b"abc")
    assert shapes(tmp_path) == {"x": (2, 3), "y": (4,)}
    assert shapes(tmp_path / "none") == {}
