"""llama.cpp making vectors: embedding models and rerankers, encoders and decoders alike."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tricorn.engines.llamacpp import binding, options
from tricorn.engines.llamacpp.loaded import resident_bytes
from tricorn.engines.llamacpp.pooled import PoolingContext, pair
from tricorn.engines.pooling import PoolingQueue, Vectors
from tricorn.engines.pooling_core import PoolingCore
from tricorn.engines.spec import EngineCapabilities, LoadedModel, ModelSpec
from tricorn.errors import ContextLengthExceeded, EngineGenerateError, ModelLoadFailed
from tricorn.hardware import facts
from tricorn.model_facts import gguf
from tricorn.model_facts.facts import FileFacts, PoolingType


def pooling_of(spec: ModelSpec) -> PoolingType | None:
    """How this model is to pool, by its options or else its file; None: it generates."""
    given: PoolingType | None = options.parse(spec.options, cores=1).pooling_type
    return given or _told_by_its_file(spec).pooling


def _told_by_its_file(spec: ModelSpec) -> FileFacts:
    """Nothing where it cannot be read: llama.cpp will say why."""
    return spec.facts or gguf.inspect(Path(spec.path)).facts


class EmbeddingCore(PoolingCore):
    def __init__(self, pooling: PoolingType) -> None:
        self._pooling_type = pooling

    def open(self, spec: ModelSpec) -> LoadedModel:
        path = Path(spec.path)
        ranks = self._pooling_type == "rank"
        if ranks and not _told_by_its_file(spec).classifier:
            raise ModelLoadFailed(
                f"{path.name} is no reranker: it has no classifier to rank texts with"
            )
        cores = facts.cpu_and_memory().physical_cores or 1
        chosen = options.parse(spec.options, cores=cores, device=spec.device)
        self._model = binding.Model(path, chosen)
        self._context_length = options.pooling_context(
            spec.options.context_length, self._model.context_trained
        )
        tokens = max(self._context_length, chosen.n_batch)
        slots = min(spec.options.max_num_seqs or options.DEFAULT_POOLING_SEQS, binding.max_slots())
        self._context = PoolingContext(
            self._model, chosen, self._pooling_type, tokens=tokens, slots=slots
        )
        self._pair_template = self._model.template("rerank")
        compute = self._scores if ranks else self._vectors
        self.pooling = PoolingQueue(compute, max_prompts=slots, max_tokens=tokens)
        compute([[0]])  # reads the mapped weights from disk; better now than in a request
        return LoadedModel(
            context_length=self._context_length,
            vocab_size=self._model.vocab_size,
            max_num_seqs=slots,
            capabilities=EngineCapabilities(generate=False, embed=not ranks, score=ranks),
            bos_token=self._model.special_token("bos"),
            eos_token=self._model.special_token("eos"),
            adds_bos=self._model.adds_bos(),
            memory_bytes=resident_bytes(),
            details={
                **self._model.identity(),
                "threads": chosen.threads_batch,
                "pooling": self._pooling_type,
                "batch_tokens": tokens,
                "flash_attn": chosen.flash_attn,
                "n_gpu_layers": chosen.n_gpu_layers,
            },
            dimensions=None if ranks else self._context.width,
            shorter_dimensions=chosen.shorter_dimensions(),
        )

    def _vectors(self, prompts: list[list[int]]) -> Vectors:
        made = self._computed(prompts)
        lengths = np.linalg.norm(made, axis=1, keepdims=True)
        vectors: Vectors = (made / np.where(lengths == 0, 1, lengths)).tolist()
        return vectors

    def _scores(self, prompts: list[list[int]]) -> Vectors:
        """A vector of one number each, 0 to 1."""
        first = self._computed(prompts)[:, :1].astype(np.float64)
        # A single class comes as it is; of several, llama.cpp has made probabilities.
        scores: Vectors = (1 / (1 + np.exp(-first)) if self._context.width == 1 else first).tolist()
        return scores

    def _computed(self, prompts: list[list[int]]) -> np.ndarray:
        try:
            return self._context.vectors(prompts)
        except binding.DecodeError as error:
            raise EngineGenerateError(f"the texts could not be computed: {error}") from error

    def pair(self, query: list[int], document: list[int]) -> list[int]:
        ids = (
            pair(self._model, query, document)
            if self._pair_template is None
            else self._filled(self._pair_template, query, document)
        )
        if len(ids) > self._context_length:
            raise ContextLengthExceeded(
                f"This model's maximum context length is {self._context_length} tokens, and the "
                f"query and a document have {len(ids)} together. Please shorten them."
            )
        return ids

    def _filled(self, template: str, query: list[int], document: list[int]) -> list[int]:
        """Models that write their verdict bring their own words for the question."""
        texts = [
            self._model.detokenize(ids).decode("utf-8", "replace") for ids in (query, document)
        ]
        head, _, rest = template.partition("{query}")
        middle, _, end = rest.partition("{document}")
        parts = [(head, True), (texts[0], False), (middle, True), (texts[1], False), (end, True)]
        return [
            token
            for text, is_ours in parts
            for token in self._model.tokenize(text, add_special=False, parse_special=is_ours)
        ]

    # --- the rest ------------------------------------------------------------------------------

    def tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]:
        return self._model.tokenize(text, add_special=add_special, parse_special=parse_special)

    def detokenize(self, token_ids: Sequence[int]) -> bytes:
        return self._model.detokenize(token_ids)

    def close(self) -> None:
        self._context.close()
        self._model.close()
