"""MLX embedding text: models that mlx-embeddings knows, where it is installed."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mlx.core as mx

from tricorn.engines.base import (
    Embeddings,
    EngineCapabilities,
    EngineStats,
    GenerateRequest,
    LoadedModel,
    ModelSpec,
)
from tricorn.engines.mlx import folder, options
from tricorn.engines.mlx.folder import ModelFolder
from tricorn.engines.mlx.tokenizer import Tokenizer
from tricorn.engines.stepped import EngineCore, StepOutput
from tricorn.errors import EngineGenerateError, InvalidRequest, ModelLoadFailed

BATCH = 16
"""Texts computed side by side; sorted by length, so that little is padding."""

DEFAULT_CONTEXT = 512


def is_for(files: ModelFolder) -> bool:
    """The model makes vectors, not text.

    ModelLoadFailed where it can do nothing else and what makes them is not installed.
    """
    name = files.model_type.replace("-", "_")
    if _exists(f"mlx_embeddings.models.{name}"):
        return files.for_embeddings or not _exists(f"mlx_lm.models.{name}")
    if files.for_embeddings and not _exists(f"mlx_lm.models.{name}"):
        raise ModelLoadFailed(
            f"{files.path.name} makes embeddings: for models of type {files.model_type} the mlx "
            "engine's environment needs the package mlx-embeddings, which it does not have or "
            "which does not know them"
        )
    return False


def _exists(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ImportError:
        return False  # its package, or one that this needs, is missing


class EmbeddingCore(EngineCore):
    """Never busy: a batch of texts is one call on the engine thread."""

    def open(self, spec: ModelSpec) -> LoadedModel:
        chosen = options.parse(spec.options)
        files = folder.read(Path(spec.path))
        self._tokenizer = Tokenizer(files, trust_remote_code=chosen.trust_remote_code)
        utils = importlib.import_module("mlx_embeddings.utils")
        try:
            self._network: Any = utils.load_model(files.path, path_to_repo=str(files.path))
            if chosen.dtype is not None:
                self._network.set_dtype(getattr(mx, chosen.dtype))
            self._vectors([[0]])
        except Exception as error:
            raise ModelLoadFailed(f"mlx cannot load {files.path.name}: {error}") from error
        self._prompt_tokens = 0
        trained = files.context_trained or DEFAULT_CONTEXT
        return LoadedModel(
            context_length=min(spec.options.context_length or trained, trained),
            vocab_size=self._tokenizer.vocabulary.size,
            max_num_seqs=1,
            capabilities=EngineCapabilities(generate=False, embed=True),
            bos_token=files.bos_token,
            eos_token=files.eos_token,
            adds_bos=self._tokenizer.adds_bos,
            memory_bytes=int(mx.get_active_memory()),
            details={"description": files.model_type, "quantization": files.quantization},
        )

    def embed(self, prompts: Sequence[list[int]]) -> Embeddings:
        """One vector of length 1 a prompt, in their order. On the engine thread."""
        order = sorted(range(len(prompts)), key=lambda number: len(prompts[number]))
        vectors: list[list[float]] = [[]] * len(prompts)
        try:
            for start in range(0, len(order), BATCH):
                numbers = order[start : start + BATCH]
                made = self._vectors([prompts[number] for number in numbers])
                for number, vector in zip(numbers, made, strict=True):
                    vectors[number] = vector
        except (RuntimeError, ValueError) as error:
            raise EngineGenerateError(f"the texts could not be embedded: {error}") from error
        tokens = sum(map(len, prompts))
        self._prompt_tokens += tokens
        return Embeddings(vectors, tokens)

    def _vectors(self, prompts: list[list[int]]) -> list[list[float]]:
        width = max(map(len, prompts))
        ids = mx.array([prompt + [0] * (width - len(prompt)) for prompt in prompts])
        mask = mx.array([[1] * len(p) + [0] * (width - len(p)) for p in prompts])
        output = self._network(ids, attention_mask=mask)
        vectors: list[list[float]] = output.text_embeds.astype(mx.float32).tolist()
        return vectors

    def submit(self, request: GenerateRequest) -> None:
        raise InvalidRequest("this model makes embeddings; it does not generate text")

    def abort(self, request_id: str) -> None:
        pass

    def step(self) -> list[StepOutput]:
        return []

    def busy(self) -> bool:
        return False

    def tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]:
        return self._tokenizer.tokenize(text, add_special=add_special, parse_special=parse_special)

    def detokenize(self, token_ids: Sequence[int]) -> bytes:
        return self._tokenizer.detokenize(token_ids)

    def stats(self) -> EngineStats:
        return EngineStats(prompt_tokens=self._prompt_tokens)

    def close(self) -> None:
        mx.clear_cache()
