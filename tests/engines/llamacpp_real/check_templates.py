"""Chat templates of a GGUF file, as llama.cpp tells them. Run by `test_llamacpp_real.py`."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from tricorn.engines.llamacpp.engine import LlamaCppCore
from tricorn.engines.spec import EngineOptions, LoadedModel, ModelSpec

MODEL = Path(__file__).parents[3] / "models" / "SmolLM2-135M-Instruct.Q4_1.gguf"
HEAD = struct.Struct("<4sIQQ")
"""Magic, version, tensors, entries of metadata."""
STRING, ALIGNMENT = 8, 32


def with_entry(name: str, text: str, target: Path) -> Path:
    """A copy of the model with one more entry, padded so that its weights stay aligned."""
    data = MODEL.read_bytes()
    magic, version, tensors, entries = HEAD.unpack_from(data)
    key = name.encode()
    text += " " * (-(len(key) + len(text) + 20) % ALIGNMENT)
    value = text.encode()
    entry = struct.pack(f"<Q{len(key)}sIQ", len(key), key, STRING, len(value)) + value
    head = HEAD.pack(magic, version, tensors, entries + 1)
    target.write_bytes(head + entry + data[HEAD.size :])
    return target


def facts(path: Path) -> LoadedModel:
    core = LlamaCppCore()
    options = EngineOptions(context_length=64, max_num_seqs=1, threads=1)
    model = core.open(ModelSpec("m", str(path), "gguf", "llamacpp", "a test", 0, 0, options))
    core.close()
    return model


@pytest.mark.parametrize(
    ("name", "found"),
    [("tokenizer.chat_template.tool_use", "{{ tools }}"), ("tokenizer.chat_template.rag", None)],
)
def test_a_template_for_tools(tmp_path: Path, name: str, found: str | None) -> None:
    """Stands beside the plain one under its own name."""
    model = facts(with_entry(name, "{{ tools }}", tmp_path / "two.gguf"))
    assert (model.tool_template or "").strip() == (found or "")
    assert "<|im_start|>" in (model.chat_template or "")
