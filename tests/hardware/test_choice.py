"""Tests of `tricorn.hardware.choice`, as a table."""

from __future__ import annotations

import pytest

from tricorn.errors import StartupError
from tricorn.hardware.choice import choose_engine
from tricorn.hardware.facts import Facts, NvidiaGpu

PLAIN = Facts(os="linux", arch="x86_64", nvidia_gpus=())
CUDA = Facts(os="linux", nvidia_gpus=(NvidiaGpu("NVIDIA H200"), NvidiaGpu("NVIDIA H200")))
MAC = Facts(os="darwin", arch="arm64", apple_chip="Apple M4")
UNKNOWN = Facts()
BOTH = ("llamacpp", "fake")


@pytest.mark.parametrize(
    ("facts", "model_format", "installed", "preference", "engine", "words"),
    [
        (PLAIN, "gguf", BOTH, "auto", "llamacpp", ["GGUF", "No GPU was found"]),
        (PLAIN, "gguf", BOTH, "llamacpp", "llamacpp", ["asked for"]),
        (UNKNOWN, "gguf", BOTH, "auto", "llamacpp", ["No GPU driver"]),
        (CUDA, "gguf", BOTH, "auto", "llamacpp", ["H200 and 1 more", "not have vLLM yet", "CUDA"]),
        (MAC, "gguf", BOTH, "auto", "llamacpp", ["Apple M4", "not have MLX yet", "Metal"]),
        (PLAIN, "gguf", (), "auto", "llamacpp", ["not installed yet"]),
        (PLAIN, "fake", (), "auto", "fake", ["fake"]),
        (CUDA, "fake", BOTH, "fake", "fake", ["asked for"]),
    ],
)
def test_choice(
    facts: Facts,
    model_format: str,
    installed: tuple[str, ...],
    preference: str,
    engine: str,
    words: list[str],
) -> None:
    """Each machine and wish gives this engine, and a reason that says these things."""
    choice = choose_engine(facts, model_format, installed, preference)
    assert choice.engine == engine
    for word in words:
        assert word in choice.reason


@pytest.mark.parametrize(
    ("model_format", "preference", "words"),
    [
        ("gguf", "vllm", "does not have vLLM yet"),
        ("gguf", "mlx", "does not have MLX yet"),
        ("gguf", "onnx", "no engine named 'onnx'"),
        ("gguf", "fake", "cannot serve a GGUF file"),
        ("fake", "llamacpp", "cannot serve a fake model"),
        ("hf", "auto", "a Hugging Face folder cannot be served"),
    ],
)
def test_impossible(model_format: str, preference: str, words: str) -> None:
    """A wish that can't be met is an error that says why."""
    with pytest.raises(StartupError, match=words):
        choose_engine(PLAIN, model_format, BOTH, preference)
