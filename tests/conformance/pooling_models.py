"""The models for embeddings and relevance that engines are tested with, in each engine's format."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.conformance import bert_gguf, hf_model, reference, torch_process


def abilities(engine: str, python: Path) -> list[str]:
    """embed and rank. MLX needs mlx-embeddings, which is not among what its environment is made of,
    and never ranks.

    python: the engine's.
    """
    if engine != "mlx":
        return ["embed", "rank"]
    packages = python.parent.parent.glob("lib/python*/site-packages/mlx_embeddings")
    return ["embed"] if any(packages) else []


def minilm(python: Path) -> Path:
    return hf_model.minilm(python)


def cross_encoder(python: Path) -> Path:
    """python: of vLLM's environment."""
    target = hf_model.cache_folder() / f"tiny-cross-encoder-{torch_process.SEED}"
    if not target.is_dir():
        with hf_model.being_made(target) as folder:
            reference.make_cross_encoder(python, Path(folder), minilm(python))
            hf_model.put_in_place(Path(folder), target)
    return target


def entries(
    engine: str, abilities: list[str], python: Path, engine_args: dict[str, object]
) -> dict[str, Any]:
    """For tricorn.yaml: ENGINE-embed and ENGINE-rank, as far as the engine can.

    python: of vLLM's environment, which makes them; none where it is missing.
    """
    if not python.exists():
        return {}
    makers = {"embed": minilm, "rank": cross_encoder}
    made = {name: makers[name](python) for name in abilities}
    if engine == "llamacpp":
        pooling = {"embed": "mean", "rank": "rank"}
        made = {name: gguf(folder, pooling[name]) for name, folder in made.items()}
    return {
        f"{engine}-{name}": {"path": str(path), "engine": engine, "engine_args": engine_args}
        for name, path in made.items()
    }


def gguf(folder: Path, pooling: str) -> Path:
    """The folder's model as a file beside it, made once."""
    target = folder.with_name(f"{folder.name}-f32.gguf")
    if not target.exists():
        bert_gguf.convert(folder, target, pooling=pooling)
    return target
