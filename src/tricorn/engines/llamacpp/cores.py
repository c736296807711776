"""llama.cpp as an engine: one of two cores, for models that write text and for those that pool."""

from __future__ import annotations

from tricorn.engines.base import InferenceEngine
from tricorn.engines.llamacpp import embedding
from tricorn.engines.llamacpp.engine import LlamaCppCore
from tricorn.engines.spec import LoadedModel, ModelSpec
from tricorn.engines.stepped import SteppedEngine


class LlamaCppEngine(SteppedEngine):
    """Which core it needs is known only once the model is."""

    def __init__(self) -> None:
        super().__init__(LlamaCppCore())

    async def load(self, spec: ModelSpec) -> LoadedModel:
        pooling = embedding.pooling_of(spec)
        if pooling is not None:
            self._core = embedding.EmbeddingCore(pooling)
        return await super().load(spec)


def create() -> InferenceEngine:
    return LlamaCppEngine()
