"""vLLM as an engine: what the interface asks, told in terms of a `Runtime`."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import itertools
import os
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Any

from tricorn.engines import fill
from tricorn.engines.base import EngineStats, InferenceEngine
from tricorn.engines.request import (
    ChatPrompt,
    Embeddings,
    GenerateRequest,
    RenderedChat,
    Scores,
    TokenDelta,
)
from tricorn.engines.spec import Adapter, EngineCapabilities, LoadedModel, ModelSpec
from tricorn.engines.vllm import options
from tricorn.engines.vllm.adapters import Adapters
from tricorn.engines.vllm.outputs import OutputReader
from tricorn.engines.vllm.stats import Stats
from tricorn.engines.vllm.stops import Stops
from tricorn.engines.vllm.tokenizer import Tokenizer
from tricorn.errors import ContextLengthExceeded
from tricorn.hardware.facts import cpu_and_memory

if TYPE_CHECKING:
    from tricorn.engines.vllm.runtime import Runtime


class VllmEngine(InferenceEngine):
    _runtime: Runtime
    _tokenizer: Tokenizer
    _model: LoadedModel
    _adapters: Adapters

    def __init__(self) -> None:
        self._stats = Stats()
        self._pooled = itertools.count(1)

    async def load(self, spec: ModelSpec) -> LoadedModel:
        cores = options.cores(spec.binding, spec.device, cpu_and_memory())
        os.environ.update(options.environment(spec.options, os.environ, cores=cores))
        # Only now: torch and vllm read the environment when they are imported.
        from tricorn.engines.vllm.runtime import Runtime

        self._runtime = Runtime(spec, self._stats)
        self._tokenizer = Tokenizer(self._runtime.tokenizer())
        self._model = self._facts(await self._runtime.tasks(), spec)
        lora = self._runtime.config.lora_config
        self._adapters = Adapters(
            lora.max_cpu_loras if lora else 1,
            self._runtime.load_adapter,
            self._runtime.remove_adapter,
        )
        return self._model

    def _facts(self, tasks: Sequence[str], spec: ModelSpec) -> LoadedModel:
        config = self._runtime.config
        model, cache, scheduler = config.model_config, config.cache_config, config.scheduler_config
        fill_tokens = fill.find(self._tokenizer.id_of)
        one_class = getattr(model.hf_config, "num_labels", 0) == 1
        lora = config.lora_config if "generate" in tasks else None
        return LoadedModel(
            context_length=model.max_model_len,
            vocab_size=model.get_vocab_size(),
            max_num_seqs=scheduler.max_num_seqs,
            capabilities=EngineCapabilities(
                generate="generate" in tasks,
                embed="embed" in tasks,
                score="classify" in tasks and one_class,
                constraints="generate" in tasks,
                prompt_logprobs="generate" in tasks,
                fill_in_middle="generate" in tasks and fill_tokens is not None,
                adapters=lora is not None,
                park=self._runtime.can_park,
                vision="generate" in tasks and self._runtime.sees(),
                thinking_budget="generate" in tasks and self._runtime.ends_thoughts,
            ),
            chat_template=self._tokenizer.templates.default,
            tool_template=self._tokenizer.templates.for_tools,
            bos_token=self._tokenizer.bos_token,
            eos_token=self._tokenizer.eos_token,
            adds_bos=self._tokenizer.adds_bos(),
            memory_bytes=_resident_bytes() if self._runtime.on_cpu else None,
            max_adapter_rank=lora.max_lora_rank if lora else 0,
            details={
                "vllm": self._runtime.version,
                "device": str(config.device_config.device_type),
                "threads": os.environ.get("OMP_NUM_THREADS", "vLLM's own choice"),
                "dtype": str(model.dtype).removeprefix("torch."),
                "architecture": getattr(model.hf_config, "model_type", None),
                "quantization": model.quantization,
                "kv_tokens": (cache.num_gpu_blocks or 0) * (cache.block_size or 0),
                "kv_type": str(cache.cache_dtype),
                "prefix_caching": bool(cache.enable_prefix_caching),
                **options.cache_size_note(spec.options.cache_size),
                "max_num_batched_tokens": scheduler.max_num_batched_tokens,
                "enforce_eager": bool(model.enforce_eager),
                "processes": config.parallel_config.world_size,
            },
            dimensions=model.embedding_size if "embed" in tasks else None,
            shorter_dimensions=_shorter(model),
            fill_tokens=fill_tokens,
        )

    # --- requests ------------------------------------------------------------------------------

    async def render_chat(self, chat: ChatPrompt) -> RenderedChat:
        return await self._runtime.render_chat(chat)

    async def generate(self, request: GenerateRequest) -> AsyncIterator[TokenDelta]:
        self._require_room(len(request.prompt_token_ids) + 1)
        reader = OutputReader(request, self._tokenizer.bytes)
        stops = Stops(request.sampling)
        async with contextlib.AsyncExitStack() as stack:
            number = None
            if request.adapter is not None:
                number = await stack.enter_async_context(self._adapters.use(request.adapter))
            stack.enter_context(self._stats.request(len(request.prompt_token_ids)))
            outputs = self._runtime.generate(
                request, vocab_size=self._model.vocab_size, adapter_number=number
            )
            stack.push_async_callback(outputs.aclose)  # type: ignore[attr-defined]
            async for output in outputs:
                for delta in reader.read(output):
                    if (shown := stops.cut(delta)) is not None:
                        yield shown
                if stops.all_ended:
                    break

    async def embed(self, prompts: Sequence[list[int]]) -> Embeddings:
        vectors = await asyncio.gather(*(self._pool("embed", prompt) for prompt in prompts))
        return Embeddings(list(vectors), sum(map(len, prompts)))

    async def score(self, query: list[int], documents: Sequence[list[int]]) -> Scores:
        """query and documents without special tokens: they are put in here."""
        pairs = [self._tokenizer.pair(query, document) for document in documents]
        scores = await asyncio.gather(*(self._pool("classify", *pair) for pair in pairs))
        return Scores([score[0] for score in scores], sum(len(ids) for ids, _types in pairs))

    async def _pool(
        self, task: str, token_ids: list[int], token_types: list[int] | None = None
    ) -> list[float]:
        self._require_room(len(token_ids))
        request_id = f"{task}-{next(self._pooled)}"
        with self._stats.request(len(token_ids)):
            return await self._runtime.pool(task, token_ids, request_id, token_types=token_types)

    def _require_room(self, tokens: int) -> None:
        limit = self._model.context_length
        if tokens > limit:
            raise ContextLengthExceeded(
                f"This model's maximum context length is {limit} tokens, but this request needs at "
                f"least {tokens}. Please shorten the input."
            )

    # --- the rest ------------------------------------------------------------------------------

    def tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]:
        return self._tokenizer.tokenize(text, add_special=add_special, parse_special=parse_special)

    def detokenize(self, token_ids: Sequence[int]) -> bytes:
        return self._tokenizer.detokenize(token_ids)

    async def drop_adapter(self, adapter: Adapter) -> None:
        await self._adapters.drop(adapter)

    def stats(self) -> EngineStats:
        return self._stats.now()

    async def park(self) -> None:
        # What is not the model's own does not outlive level 2.
        await self._adapters.clear()
        await self._runtime.park()

    async def wake(self) -> None:
        await self._runtime.wake()

    async def check(self) -> None:
        await self._runtime.check()

    async def unload(self) -> None:
        await self._runtime.shut_down()


def _shorter(model: Any) -> tuple[int, ...] | None:
    """As `LoadedModel.shorter_dimensions`."""
    return tuple(model.matryoshka_dimensions or ()) if model.is_matryoshka else None


def _resident_bytes() -> int | None:
    """Proportional set size of this process and of all that vLLM has started; None where the
    system does not tell."""
    import psutil  # vllm needs it too

    worker = psutil.Process()
    try:
        sizes = [p.memory_full_info() for p in (worker, *worker.children(recursive=True))]
    except psutil.Error:
        return None
    return sum(size.pss for size in sizes) if hasattr(sizes[0], "pss") else None


def create() -> InferenceEngine:
    # vllm itself is imported when the model is loaded: what it reads from the environment depends
    # on the model.
    if importlib.util.find_spec("vllm") is None:
        raise ImportError("No module named 'vllm'")
    return VllmEngine()
