"""MLX as an engine: one of two cores, for models that write text and for those that embed it."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from tricorn.engines.base import InferenceEngine
from tricorn.engines.mlx import folder
from tricorn.engines.spec import LoadedModel, ModelSpec
from tricorn.engines.stepped import EngineCore, SteppedEngine


class MlxEngine(SteppedEngine):
    """Which core it needs is known only once the model is."""

    async def load(self, spec: ModelSpec) -> LoadedModel:
        if spec.device == "cpu":
            _use_cpu()
        self._core = _core_for(spec)
        return await super().load(spec)


def _use_cpu() -> None:
    """For the whole process, also where MLX would take the GPU unasked."""
    import mlx.core as mx

    mx.set_default_device(mx.cpu)


def _core_for(spec: ModelSpec) -> EngineCore:
    # Only now: mlx-lm makes its stream, when it is imported, on the device that is set then.
    from tricorn.engines.mlx import embedding
    from tricorn.engines.mlx.generation import GenerationCore

    if embedding.is_for(folder.read(Path(spec.path))):
        return embedding.EmbeddingCore()
    return GenerationCore()


def create() -> InferenceEngine:
    if importlib.util.find_spec("mlx_lm") is None:
        raise ImportError("No module named 'mlx_lm'")
    return MlxEngine()
