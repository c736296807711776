"""What cores for models that make vectors, not text, have in common."""

from __future__ import annotations

from tricorn.engines.base import EngineStats
from tricorn.engines.pooling import PoolingQueue
from tricorn.engines.request import GenerateRequest
from tricorn.engines.stepped import EngineCore, StepOutput
from tricorn.errors import InvalidRequest


class PoolingCore(EngineCore):
    """`open` makes `pooling`; a step is one batch of it."""

    pooling: PoolingQueue

    def submit(self, request: GenerateRequest) -> None:
        raise InvalidRequest("this model makes vectors; it does not generate text", param="model")

    def abort(self, request_id: str) -> None:
        self.pooling.abort(request_id)

    def step(self) -> list[StepOutput]:
        return [*self.pooling.step()]

    def busy(self) -> bool:
        return self.pooling.busy

    def stats(self) -> EngineStats:
        return EngineStats(
            running=self.pooling.running,
            waiting=self.pooling.waiting,
            prompt_tokens=self.pooling.prompt_tokens,
        )
