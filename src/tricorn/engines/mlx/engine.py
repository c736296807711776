"""MLX as an engine: one of two cores, for models that write text and for those that embed it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from tricorn.engines.base import Embeddings, InferenceEngine, LoadedModel, ModelSpec
from tricorn.engines.mlx import embedding, folder
from tricorn.engines.mlx.generation import GenerationCore
from tricorn.engines.stepped import SteppedEngine


class MlxEngine(SteppedEngine):
    """Which core it needs is known only once the model is."""

    def __init__(self) -> None:
        super().__init__(GenerationCore())

    async def load(self, spec: ModelSpec) -> LoadedModel:
        if embedding.is_for(folder.read(Path(spec.path))):
            self._core = embedding.EmbeddingCore()
        return await super().load(spec)

    async def embed(self, prompts: Sequence[list[int]]) -> Embeddings:
        if self._lost is not None:
            raise self._lost
        core = self._core
        assert isinstance(core, embedding.EmbeddingCore), "called without the capability embed"
        loop = asyncio.get_running_loop()
        result: asyncio.Future[Embeddings] = loop.create_future()

        def work() -> None:
            """On the engine thread, to which MLX's streams belong."""
            try:
                embeddings = core.embed(prompts)
            except Exception as error:  # noqa: BLE001 - raised where it is awaited
                loop.call_soon_threadsafe(_settle, result, error)
            else:
                loop.call_soon_threadsafe(_settle, result, embeddings)

        self._inbox.put(work)
        return await result


def _settle(future: asyncio.Future[Embeddings], outcome: Embeddings | Exception) -> None:
    if future.cancelled():
        return
    if isinstance(outcome, Embeddings):
        future.set_result(outcome)
    else:
        future.set_exception(outcome)


def create() -> InferenceEngine:
    return MlxEngine()
