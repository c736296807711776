"""A running AsyncLLM: started, called, its errors translated.

What vllm reads from the environment has to be there before this module is imported.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import dataclasses
import os
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

import structlog
import vllm
from vllm import PoolingParams, SamplingParams, TokensPrompt
from vllm.config.logging import LoggingConfig
from vllm.config.reasoning import ReasoningConfig
from vllm.engine.arg_utils import AsyncEngineArgs
from vllm.exceptions import VLLMClientError
from vllm.lora.request import LoRARequest
from vllm.platforms import current_platform
from vllm.sampling_params import RequestOutputKind, StructuredOutputsParams
from vllm.v1.engine.async_llm import AsyncLLM
from vllm.v1.engine.exceptions import EngineDeadError
from vllm.v1.engine.exceptions import EngineGenerateError as VllmGenerateError
from vllm.v1.metrics.loggers import StatLoggerBase

from tricorn.chat.reasoning import thoughts
from tricorn.engines.chat_templates import in_folder
from tricorn.engines.request import ChatPrompt, GenerateRequest, RenderedChat
from tricorn.engines.spec import Adapter, ModelSpec
from tricorn.engines.vllm import adapter_shapes, options, sampling, sleep, vision
from tricorn.engines.vllm.failure import StandardError, root_cause
from tricorn.engines.vllm.outputs import Output
from tricorn.engines.vllm.stats import StatCounter, Stats
from tricorn.errors import (
    EngineGenerateError,
    EngineLost,
    InvalidRequest,
    ModelLoadFailed,
    UnsupportedParameter,
)
from tricorn.hardware import facts
from tricorn.hardware.fit import wrong_vllm_build

NO_LORA = "does not support LoRA"
"""vLLM's words for a model that can have no adapters."""
CONFIGS = {"reasoning_config": ReasoningConfig, "logging_config": LoggingConfig}
"""Classes of configurations that vLLM does not make of a mapping and whose default does not tell
them."""
SHUTDOWN_S = 2.0
"""The engine core gets this long to end by itself."""

log = structlog.get_logger(part="engine")


class Runtime:
    """Started by its constructor, which blocks until the model is in memory (up to minutes).

    Call it on the event loop. ModelLoadFailed with vLLM's own reason.
    """

    def __init__(self, spec: ModelSpec, stats: Stats) -> None:
        self.version: str = vllm.__version__
        self.on_cpu: bool = current_platform.is_cpu()
        if spec.device in ("cpu", "cuda") and self.on_cpu != (spec.device == "cpu"):
            raise ModelLoadFailed(wrong_vllm_build(spec.device))
        self._own_template = spec.options.chat_template
        memory_available = facts.cpu_and_memory().memory_available
        known = [field.name for field in dataclasses.fields(AsyncEngineArgs)]
        given = options.engine_args(
            spec.options,
            spec.path,
            known,
            on_cpu=self.on_cpu,
            binds_threads=os.environ.get(options.BIND) != options.UNBOUND,
            can_sleep=_can_sleep(),
            memory_available=spec.options.memory or memory_available,
            adapters=spec.adapters,
            thoughts=thoughts(self._own_template or in_folder(Path(spec.path)).default or ""),
        )
        try:
            self._llm = _started(given, stats)
        except ModelLoadFailed as error:
            if NO_LORA not in error.message or "enable_lora" in spec.options.engine_args:
                raise
            # Whether it has LoRA is known no sooner, and adapters must not keep it from serving.
            log.warning("no adapters for this model", model=spec.id, reason=error.message)
            self._llm = _started(options.without_adapters(given), stats)
        self.config: Any = self._llm.vllm_config
        self._folder = Path(spec.path)
        self._shapes: adapter_shapes.Shapes | None = None
        """Of the model's weights; read for the first adapter."""
        self._sleep_level = spec.options.sleep_level
        self.can_park = sleep.can_park(
            self.config,
            self._sleep_level,
            weight_bytes=spec.size_bytes,
            memory_available=memory_available,
        )

    @property
    def ends_thoughts(self) -> bool:
        """Whether it can be told how long a thought may be. vLLM looks for tokens: marks that are
        several may be written with others."""
        known = self.config.reasoning_config
        return (
            known is not None
            and known.enabled
            and len(known.reasoning_start_token_ids) == len(known.reasoning_end_token_ids) == 1
        )

    async def tasks(self) -> Sequence[str]:
        """What the model can do, in vLLM's words: generate, embed, classify and so on."""
        tasks: Sequence[str] = await self._llm.get_supported_tasks()
        return tasks

    def tokenizer(self) -> Any:
        """A copy: vLLM uses its own on other threads, and a tokenizer is not made for two."""
        return copy.deepcopy(self._llm.get_tokenizer())

    def sees(self) -> bool:
        """Whether chats may have images."""
        return self.config.model_config.is_multimodal_model and vision.sees(self._llm.renderer)

    async def render_chat(self, chat: ChatPrompt) -> RenderedChat:
        """As `InferenceEngine.render_chat`."""
        with _translated("messages"):
            return await vision.render(self._llm.renderer, chat, self._own_template)

    async def load_adapter(self, number: int, adapter: Adapter) -> None:
        """Bring it into memory under a number of its own; ModelLoadFailed with the reason."""
        wrong = await asyncio.to_thread(self._mismatch, adapter)
        if wrong is not None:
            raise ModelLoadFailed(f"the adapter {adapter.name} cannot be used: {wrong}")
        try:
            with _translated(None):
                await self._llm.add_lora(_lora(number, adapter))
        except EngineLost:
            raise
        except Exception as error:
            # It has no class of its own: the core sends only its text.
            with contextlib.suppress(Exception), _translated(None):
                await self._llm.remove_lora(number)
            reason = options.plain(str(error)).removeprefix("Call to add_lora method failed: ")
            raise ModelLoadFailed(
                f"the adapter {adapter.name} cannot be loaded: {reason}"
            ) from error

    def _mismatch(self, adapter: Adapter) -> str | None:
        if self._shapes is None:
            self._shapes = adapter_shapes.shapes(self._folder)
        return adapter_shapes.mismatch(adapter_shapes.shapes(Path(adapter.path)), self._shapes)

    async def remove_adapter(self, number: int) -> None:
        with _translated(None):
            await self._llm.remove_lora(number)

    async def generate(
        self,
        request: GenerateRequest,
        *,
        vocab_size: int,
        adapter_number: int | None = None,
    ) -> AsyncIterator[Output]:
        """The request's outputs, each with what is new. Closing the iterator aborts.

        adapter_number: under which the request's adapter was loaded.
        """
        lora = None
        if request.adapter is not None and adapter_number is not None:
            lora = _lora(adapter_number, request.adapter)
        if request.priority and self.config.scheduler_config.policy != "priority":
            raise UnsupportedParameter(
                "'priority' has no effect under the scheduling_policy that engine_args sets for "
                "this model.",
                param="priority",
            )
        constraint = request.sampling.constraint
        with _translated(constraint.param if constraint else None):
            params = SamplingParams(
                **sampling.arguments(request.sampling, vocab_size=vocab_size),
                thinking_token_budget=self._thinking_budget(request),
                prompt_logprobs=request.prompt_logprobs,
                output_kind=RequestOutputKind.DELTA,
                structured_outputs=(
                    StructuredOutputsParams(**sampling.structured(constraint))
                    if constraint
                    else None
                ),
            )
            prompt = request.rendered or TokensPrompt(prompt_token_ids=request.prompt_token_ids)
            outputs = self._llm.generate(
                prompt,
                params,
                request.request_id,
                lora_request=lora,
                priority=request.priority,
                trace_headers=self._traced(request),
            )
            async with contextlib.aclosing(outputs):
                async for output in outputs:
                    yield output

    def _traced(self, request: GenerateRequest) -> dict[str, str] | None:
        """Only where vLLM sends traces itself (its otlp_traces_endpoint), or it would complain."""
        sends = self.config.observability_config.otlp_traces_endpoint is not None
        return request.trace if sends else None

    def _thinking_budget(self, request: GenerateRequest) -> int | None:
        limit = request.sampling.thought_limit
        if limit is None:
            return None
        known = self.config.reasoning_config
        if (known.reasoning_start_str, known.reasoning_end_str) != (limit.begin, limit.end):
            raise UnsupportedParameter(
                "'thinking_budget' is not supported: the model's engine_args.reasoning_config ends "
                f"thoughts with '{known.reasoning_end_str}', its chat template with '{limit.end}'.",
                param="thinking_budget",
            )
        return sampling.thinking_budget(
            limit, request.prompt_token_ids, known.reasoning_start_token_ids
        )

    async def pool(
        self,
        task: str,
        token_ids: Sequence[int],
        request_id: str,
        *,
        token_types: Sequence[int] | None = None,
    ) -> list[float]:
        """One prompt through a pooling model: its vector, or its class scores."""
        prompt = TokensPrompt(prompt_token_ids=list(token_ids))
        params = PoolingParams(task=task)
        if token_types is not None and any(token_types):
            # vLLM takes the position at which the second text begins instead of the whole list.
            params.extra_kwargs = {"compressed_token_type_ids": list(token_types).index(1)}
        with _translated(None):
            async for output in self._llm.encode(prompt, params, request_id):
                vector: list[float] = output.outputs.data.float().flatten().tolist()
                return vector
        raise EngineGenerateError("vLLM gave no result for this request")

    async def park(self) -> None:
        with _translated(None):
            await sleep.park(self._llm, self._sleep_level)

    async def wake(self) -> None:
        with _translated(None):
            await sleep.wake(self._llm, self._sleep_level)

    async def check(self) -> None:
        """EngineLost where vLLM's processes are gone."""
        with _translated(None):
            await self._llm.check_health()

    async def shut_down(self) -> None:
        # Its end is meant: it would report the core's end as an error.
        if self._llm.output_handler is not None:
            self._llm.output_handler.cancel()
        await asyncio.to_thread(self._llm.shutdown, SHUTDOWN_S)


def _started(given: dict[str, Any], stats: Stats) -> AsyncLLM:
    said = StandardError()
    try:
        return AsyncLLM.from_engine_args(
            AsyncEngineArgs(**_with_configs(given)),
            stat_loggers=[lambda _config, _core=0: _StatLogger(stats.add_core())],
        )
    except Exception as error:
        # A core that fails is a RuntimeError here, which only says to look at its output.
        told = root_cause(said.text()) if isinstance(error, RuntimeError) else None
        reason = told or f"{type(error).__name__}: {error}"
        raise ModelLoadFailed(f"vLLM cannot load it: {options.plain(reason)}") from error


def _lora(number: int, adapter: Adapter) -> LoRARequest:
    # vLLM compares them by name alone, and versions of an adapter share theirs.
    return LoRARequest(f"{adapter.name}#{number}", number, adapter.path)


class _StatLogger(StatLoggerBase):  # type: ignore[misc] # vllm has no type information here
    """One a core; hands on what vLLM records."""

    def __init__(self, counter: StatCounter) -> None:
        self._counter = counter

    def record(
        self,
        scheduler_stats: Any,
        iteration_stats: Any,
        mm_cache_stats: Any = None,
        engine_idx: int = 0,
    ) -> None:
        self._counter.record(scheduler_stats, iteration_stats)

    def log_engine_initialized(self) -> None:
        pass


def _can_sleep() -> bool:
    """Whether this platform has vLLM's sleep mode; asked of vLLM, but only trusted on CUDA."""
    return bool(
        current_platform.is_cuda()
        and current_platform.is_sleep_mode_available()
        and current_platform.is_cumem_allocator_available()
    )


def _with_configs(given: dict[str, Any]) -> dict[str, Any]:
    """Configuration objects for what was given as a mapping, where vLLM has a class for it."""
    made = dict(given)
    for field in dataclasses.fields(AsyncEngineArgs):
        value = given.get(field.name)
        if field.name in CONFIGS and isinstance(value, dict):
            made[field.name] = CONFIGS[field.name](**value)
        elif isinstance(value, dict) and field.default_factory is not dataclasses.MISSING:
            kind = type(field.default_factory())
            if dataclasses.is_dataclass(kind):
                made[field.name] = kind(**value)
    return made


@contextlib.contextmanager
def _translated(constraint_param: str | None) -> Iterator[None]:
    """constraint_param: the field to name where vLLM names none and there is a constraint."""
    try:
        yield
    except EngineDeadError as error:
        raise EngineLost("vLLM's engine process ended while it worked on this request") from error
    except VllmGenerateError as error:
        reason = error.__cause__ or error
        raise EngineGenerateError(f"vLLM failed on this request: {reason}") from error
    except (VLLMClientError, ValueError) as error:
        named = getattr(error, "parameter", None)
        param = constraint_param if named in (None, "structured_outputs") else named
        # Its text as such: `str` would add the parameter and its value.
        text = str(error.args[0]) if error.args else str(error)
        raise InvalidRequest(options.plain(text), param=param) from error
