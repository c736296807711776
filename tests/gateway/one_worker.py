"""A manager with one worker, which a test plays."""

from __future__ import annotations

from tests.gateway.engines import FakeManager, ScriptedWorker


class OneWorker(FakeManager):
    """Grants the same scripted worker for ever: losing it is only a lost connection."""

    def __init__(self, worker: ScriptedWorker) -> None:
        super().__init__({"m": {}})
        self.add("m", worker)
        self.taken: list[tuple[int, int]] = []

    def release(self, lease: int, *, lost: bool = False, **tokens: int) -> None:
        self.released.append((self._leases.pop(lease), lost))
        self.taken.append((tokens["prompt_tokens"], tokens["completion_tokens"]))
