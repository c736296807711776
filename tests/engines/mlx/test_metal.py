"""What is asked of MLX on a Mac, with stand-ins for its packages."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from tests.engines.mlx.stand_ins import imported, stand_in

from tricorn.engines.mlx.memory import GIB, MemoryPlan

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="MLX has no packages for Windows")


class Mlx(ModuleType):
    """`mlx.core` of a machine with Metal or without; notes the limits that it is given."""

    def __init__(self, *, metal: bool) -> None:
        super().__init__("mlx.core")
        self.cpu, self.gpu = "cpu", "gpu"
        self.device = self.gpu if metal else self.cpu
        self.metal = SimpleNamespace(is_available=lambda: metal)
        self.limits: dict[str, int] = {}
        self.set_memory_limit = lambda size: self.limits.update(memory=size)
        self.set_cache_limit = lambda size: self.limits.update(cache=size)
        self.set_wired_limit = lambda size: self.limits.update(wired=size)

    def default_device(self) -> str:
        return self.device

    def device_info(self) -> dict[str, int]:
        if not self.metal.is_available():
            return {}
        return {"max_recommended_working_set_size": 12 * GIB, "memory_size": 16 * GIB}


def model_over(monkeypatch: pytest.MonkeyPatch, core: Mlx) -> Any:
    """`tricorn.engines.mlx.model` with that `mlx.core`."""
    monkeypatch.setitem(sys.modules, "mlx.core", core)
    stand_in(monkeypatch, "mlx", core=core)
    stand_in(monkeypatch, "mlx.utils", tree_flatten=None)
    stand_in(monkeypatch, "mlx_lm")
    stand_in(monkeypatch, "mlx_lm.utils")
    stand_in(monkeypatch, "mlx_lm.generate", BatchGenerator=None)
    stand_in(monkeypatch, "mlx_lm.models", cache=None)
    imported(monkeypatch, "sampling")
    return imported(monkeypatch, "model")


def test_metals_recommendation_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the GPU computes; with DEVICE_TYPE=cpu a Mac has none."""
    core = Mlx(metal=True)
    model = model_over(monkeypatch, core)
    assert model.working_set() == 12 * GIB
    core.device = core.cpu
    assert model.working_set() is None
    assert model_over(monkeypatch, Mlx(metal=False)).working_set() is None


@pytest.mark.parametrize("wired", [9 * GIB, None])
def test_the_plan_becomes_mlxs_limits(monkeypatch: pytest.MonkeyPatch, wired: int | None) -> None:
    """What is wired only where something can be."""
    core = Mlx(metal=wired is not None)
    plan = MemoryPlan(limit=10 * GIB, wired=wired, buffers=GIB, prefixes=2, running=3)
    model_over(monkeypatch, core).set_limits(plan)
    expected = {"memory": 10 * GIB, "cache": GIB}
    assert core.limits == (expected if wired is None else expected | {"wired": wired})
