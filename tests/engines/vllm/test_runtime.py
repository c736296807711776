"""A `Runtime` over stand-ins for vllm: how it starts, on GPUs too, and what becomes of errors."""

from __future__ import annotations

import asyncio
import dataclasses
import importlib
import sys
from collections.abc import Callable, Coroutine
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from tricorn.engines import vllm as package
from tricorn.engines.request import GenerateRequest, SamplingParams
from tricorn.engines.spec import Adapter, EngineOptions, ModelSpec
from tricorn.engines.vllm.stats import Stats
from tricorn.errors import (
    EngineGenerateError,
    EngineLost,
    InvalidRequest,
    ModelLoadFailed,
    UnsupportedParameter,
)


@dataclasses.dataclass
class Config:
    """One of vLLM's configurations."""

    level: int = 0


@dataclasses.dataclass
class EngineArgs:
    model: str = ""
    max_model_len: int = 0
    scheduling_policy: str = ""
    disable_log_stats: bool = False
    enable_sleep_mode: bool = False
    enable_lora: bool = False
    max_lora_rank: int = 0
    max_loras: int = 0
    max_cpu_loras: int = 0
    enforce_eager: bool = False
    kv_cache_memory_bytes: int = 0
    structured_outputs_config: Any = None
    compilation_config: Config = dataclasses.field(default_factory=Config)
    logging_config: Config | None = None
    tensor_parallel_size: int = 1


class ClientError(Exception):
    def __init__(self, message: str, parameter: str | None = None) -> None:
        super().__init__(message)
        self.parameter = parameter


class DeadError(Exception):
    pass


class GenerateError(Exception):
    pass


class Machine:
    """Where vLLM is started: what it was started with, and how it does."""

    def __init__(self) -> None:
        self.device = "cuda"
        self.started: list[EngineArgs] = []
        self.refusals: list[Exception] = []
        """Of the coming starts."""
        self.fault: Exception | None = None
        """Of the coming call."""
        self.slept: list[int] = []

    def llm(self, args: EngineArgs, stat_loggers: list[Callable[..., Any]]) -> Any:
        self.started.append(args)
        if self.refusals:
            raise self.refusals.pop(0)
        stat_loggers[0](None)
        return SimpleNamespace(
            vllm_config=SimpleNamespace(
                model_config=SimpleNamespace(enable_sleep_mode=args.enable_sleep_mode),
                scheduler_config=SimpleNamespace(policy=args.scheduling_policy),
                speculative_config=None,
            ),
            check_health=self._call,
            sleep=self._sleep,
        )

    async def _call(self) -> None:
        if self.fault is not None:
            raise self.fault

    async def _sleep(self, level: int) -> None:
        self.slept.append(level)
        await self._call()


def modules(machine: Machine) -> dict[str, dict[str, Any]]:
    """vllm's, as far as the runtime imports them."""
    platform = SimpleNamespace(
        is_cpu=lambda: machine.device == "cpu",
        is_cuda=lambda: machine.device == "cuda",
        is_sleep_mode_available=lambda: True,
        is_cumem_allocator_available=lambda: True,
    )
    return {
        "vllm": {
            "__version__": "0",
            "PoolingParams": None,
            "SamplingParams": None,
            "TokensPrompt": None,
        },
        "vllm.config.logging": {"LoggingConfig": Config},
        "vllm.config.reasoning": {"ReasoningConfig": Config},
        "vllm.engine.arg_utils": {"AsyncEngineArgs": EngineArgs},
        "vllm.exceptions": {"VLLMClientError": ClientError},
        "vllm.lora.request": {"LoRARequest": None},
        "vllm.multimodal.media.image": {"ImageMediaIO": None},
        "vllm.platforms": {"current_platform": platform},
        "vllm.renderers": {"ChatParams": None},
        "vllm.sampling_params": {"RequestOutputKind": None, "StructuredOutputsParams": None},
        "vllm.v1.engine.async_llm": {"AsyncLLM": SimpleNamespace(from_engine_args=machine.llm)},
        "vllm.v1.engine.exceptions": {
            "EngineDeadError": DeadError,
            "EngineGenerateError": GenerateError,
        },
        "vllm.v1.metrics.loggers": {"StatLoggerBase": object},
    }


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    """The stand-ins are there, and the module that was imported over them goes with them."""
    machine = Machine()
    for name, contents in modules(machine).items():
        made = ModuleType(name)
        made.__dict__.update(contents)
        monkeypatch.setitem(sys.modules, name, made)
    for name in ("vision", "runtime"):
        whole = f"{package.__name__}.{name}"
        monkeypatch.setitem(sys.modules, whole, ModuleType(whole))
        monkeypatch.setattr(package, name, None, raising=False)
        del sys.modules[whole]
    return machine


def started(device: str = "cuda", adapters: tuple[Adapter, ...] = (), **options: Any) -> Any:
    """A runtime; options: of the model."""
    runtime = importlib.import_module("tricorn.engines.vllm.runtime")
    made = EngineOptions(**options)
    spec = ModelSpec("m", "/m", "hf", "vllm", "", 1, 0, made, device=device, adapters=adapters)
    return runtime.Runtime(spec, Stats())


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(work)


def test_on_a_gpu_it_can_be_parked(machine: Machine) -> None:
    """At the model's own level; where a parameter leaves sleep mode out, not."""
    runtime = started(sleep_level=2)
    assert machine.started[0].enable_sleep_mode
    assert not machine.started[0].enforce_eager
    assert runtime.can_park
    run(runtime.park())
    assert machine.slept == [2]
    assert not started(engine_args={"enable_sleep_mode": False}).can_park


def test_on_a_cpu_there_is_no_sleep_mode(machine: Machine) -> None:
    """Whatever the platform says of itself."""
    machine.device = "cpu"
    assert not started("cpu").can_park
    assert not machine.started[0].enable_sleep_mode


@pytest.mark.parametrize(("built", "wanted"), [("cpu", "cuda"), ("cuda", "cpu")])
def test_a_build_for_another_device_is_refused(machine: Machine, built: str, wanted: str) -> None:
    """Before anything is started."""
    machine.device = built
    with pytest.raises(ModelLoadFailed, match=f"DEVICE_TYPE={wanted} tricorn engines install"):
        started(wanted)
    assert machine.started == []


def test_parameters_reach_vllm_whole(machine: Machine) -> None:
    """Mappings as the configurations that they are, also of those that have no default."""
    given = {"compilation_config": {"level": 3}, "logging_config": {"level": 1}}
    started(engine_args=given | {"tensor_parallel_size": 2})
    assert machine.started[0].compilation_config == Config(3)
    assert machine.started[0].logging_config == Config(1)
    assert machine.started[0].tensor_parallel_size == 2


def test_wrong_values_are_told_in_vllms_words(machine: Machine) -> None:
    """In one line."""
    machine.refusals = [ValueError("dtype:\n  no such type")]
    with pytest.raises(ModelLoadFailed, match="vLLM cannot load it: ValueError: dtype: no such"):
        started()


def test_adapters_do_not_keep_a_model_from_serving(machine: Machine) -> None:
    """Where it can have none it is started again without; unless they were asked for by name."""
    adapters = (Adapter("a", "/a", 8, 1),)
    machine.refusals = [ValueError("Foo does not support LoRA yet")]
    started(adapters=adapters)
    assert [args.enable_lora for args in machine.started] == [True, False]
    machine.refusals = [ValueError("Foo does not support LoRA yet")]
    with pytest.raises(ModelLoadFailed, match="does not support LoRA"):
        started(adapters=adapters, engine_args={"enable_lora": True})


@pytest.mark.parametrize(
    ("raised", "expected", "words"),
    [
        (DeadError(), EngineLost, "engine process ended"),
        (GenerateError("no blocks"), EngineGenerateError, "no blocks"),
        (ClientError("too hot", "temperature"), InvalidRequest, "too hot"),
        (ValueError("no such thing"), InvalidRequest, "no such thing"),
    ],
)
def test_vllms_errors_are_ours(
    machine: Machine, raised: Exception, expected: type[Exception], words: str
) -> None:
    """A dead engine above all: the replica ends by it."""
    runtime = started()
    run(runtime.check())
    machine.fault = raised
    with pytest.raises(expected, match=words) as caught:
        run(runtime.check())
    assert getattr(caught.value, "param", None) == getattr(raised, "parameter", None)


def test_a_priority_without_effect_is_refused(machine: Machine) -> None:
    """Where the policy that was given knows none."""
    runtime = started(engine_args={"scheduling_policy": "fcfs"})
    request = GenerateRequest("r", [1], SamplingParams(), priority=-1)
    with pytest.raises(UnsupportedParameter, match="scheduling_policy") as caught:
        run(anext(runtime.generate(request, vocab_size=10)))
    assert caught.value.param == "priority"
