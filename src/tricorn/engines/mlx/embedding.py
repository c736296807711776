"""MLX embedding text: models that mlx-embeddings knows, where it is installed."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mlx.core as mx

from tricorn.engines.mlx import folder, options
from tricorn.engines.mlx.folder import ModelFolder
from tricorn.engines.mlx.tokenizer import Tokenizer
from tricorn.engines.pooling import PoolingQueue, Vectors
from tricorn.engines.pooling_core import PoolingCore
from tricorn.engines.spec import EngineCapabilities, LoadedModel, ModelSpec
from tricorn.errors import EngineGenerateError, ModelLoadFailed

BATCH = 16
"""Texts computed side by side; sorted by length, so that little is padding."""
TAKEN = 4 * BATCH
"""Texts taken out of the queue to be sorted."""

DEFAULT_CONTEXT = 512
MAX_TOKENS = 8192
"""Of the texts that are taken out at a time, unless one of them is longer."""


def is_for(files: ModelFolder) -> bool:
    """The model makes vectors, not text.

    ModelLoadFailed where it can do nothing else and what makes them is not installed.
    """
    name = files.model_type.replace("-", "_")
    if _exists(f"mlx_embeddings.models.{name}"):
        return files.for_embeddings or not _exists(f"mlx_lm.models.{name}")
    if files.for_embeddings and not _exists(f"mlx_lm.models.{name}"):
        if _exists("mlx_embeddings"):
            lacks = f"the installed mlx-embeddings does not know models of type {files.model_type}"
        else:
            lacks = f"the mlx engine needs the package mlx-embeddings for it: {_install_command()}"
        raise ModelLoadFailed(f"{files.path.name} makes embeddings, and {lacks}")
    return False


def _install_command() -> str:
    """uv makes environments without pip."""
    if _exists("pip"):
        return f"{sys.executable} -m pip install mlx-embeddings"
    return f"uv pip install --python {sys.executable} mlx-embeddings"


def _exists(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ImportError:
        return False  # its package, or one that this needs, is missing


class EmbeddingCore(PoolingCore):
    def open(self, spec: ModelSpec) -> LoadedModel:
        chosen = options.parse(spec.options)
        files = folder.read(Path(spec.path))
        self._tokenizer = Tokenizer(files, trust_remote_code=chosen.trust_remote_code)
        utils = importlib.import_module("mlx_embeddings.utils")
        try:
            self._network: Any = utils.load_model(files.path, path_to_repo=str(files.path))
            if chosen.dtype is not None:
                self._network.set_dtype(getattr(mx, chosen.dtype))
            (first,) = self._side_by_side([[0]])
        except Exception as error:
            raise ModelLoadFailed(f"mlx cannot load {files.path.name}: {error}") from error
        trained = files.context_trained or DEFAULT_CONTEXT
        context = min(spec.options.context_length or trained, trained)
        self.pooling = PoolingQueue(
            self._vectors, max_prompts=TAKEN, max_tokens=max(context, MAX_TOKENS)
        )
        matryoshka = files.matryoshka if chosen.matryoshka is None else chosen.matryoshka
        if matryoshka is True:
            matryoshka = ()
        return LoadedModel(
            context_length=context,
            vocab_size=self._tokenizer.vocabulary.size,
            max_num_seqs=BATCH,
            capabilities=EngineCapabilities(generate=False, embed=True),
            bos_token=files.bos_token,
            eos_token=files.eos_token,
            adds_bos=self._tokenizer.adds_bos,
            memory_bytes=int(mx.get_active_memory()),
            details={
                "description": files.model_type,
                "architecture": files.model_type,
                "quantization": files.quantization,
            },
            dimensions=len(first),
            shorter_dimensions=matryoshka if isinstance(matryoshka, tuple) else None,
        )

    def _vectors(self, prompts: list[list[int]]) -> Vectors:
        """Of length 1 each."""
        order = sorted(range(len(prompts)), key=lambda number: len(prompts[number]))
        vectors: Vectors = [[]] * len(prompts)
        try:
            for start in range(0, len(order), BATCH):
                numbers = order[start : start + BATCH]
                made = self._side_by_side([prompts[number] for number in numbers])
                for number, vector in zip(numbers, made, strict=True):
                    vectors[number] = vector
        except (RuntimeError, ValueError) as error:
            raise EngineGenerateError(f"the texts could not be embedded: {error}") from error
        return vectors

    def _side_by_side(self, prompts: list[list[int]]) -> Vectors:
        width = max(map(len, prompts))
        ids = mx.array([prompt + [0] * (width - len(prompt)) for prompt in prompts])
        mask = mx.array([[1] * len(p) + [0] * (width - len(p)) for p in prompts])
        output = self._network(ids, attention_mask=mask)
        vectors: Vectors = output.text_embeds.astype(mx.float32).tolist()
        return vectors

    def tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]:
        return self._tokenizer.tokenize(text, add_special=add_special, parse_special=parse_special)

    def detokenize(self, token_ids: Sequence[int]) -> bytes:
        return self._tokenizer.detokenize(token_ids)

    def close(self) -> None:
        mx.clear_cache()
