"""Engines that advance by steps: one thread owns the model, asyncio sees streams.

    event loop ──Submit/Abort──► inbox ──► engine thread: drain inbox, step(), drain, step() …
    event loop ◄──one call a step with everything that step produced──┘

An `EngineCore` is the synchronous half; it is only ever touched by the engine thread, except for
`prepare`, `render_chat`, `tokenize`, `detokenize` and `stats`, which must be safe from any thread.
"""

from __future__ import annotations

import asyncio
import itertools
import queue
import threading
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import msgspec
import structlog

from tricorn.engines.base import EngineStats, InferenceEngine
from tricorn.engines.pooling import PoolingQueue, Vectors
from tricorn.engines.request import (
    ChatPrompt,
    Embeddings,
    GenerateRequest,
    RenderedChat,
    Scores,
    TokenDelta,
)
from tricorn.engines.spec import LoadedModel, ModelSpec
from tricorn.errors import EngineLost, TricornError

StepOutput = tuple[str, TokenDelta | Vectors | TricornError]
"""(request id, what it got)."""

log = structlog.get_logger(part="engine")


class EngineCore(ABC):
    """The synchronous half of a stepped engine."""

    pooling: PoolingQueue | None = None
    """Where prompts wait for their vectors; made by `open` where the model can `embed` or `score`.
    Its outputs come out of `step` with the others."""

    @abstractmethod
    def open(self, spec: ModelSpec) -> LoadedModel:
        """Load the model. ModelLoadFailed where that is impossible."""

    @abstractmethod
    def submit(self, request: GenerateRequest) -> None:
        """Queue a request. A RequestError refuses it."""

    def prepare(self, request: GenerateRequest) -> Callable[[], None]:
        """What would hold up a step (a constraint is compiled), on a thread of its own.

        Gives what the engine thread is to call in `submit`'s place. Called only for requests with
        a constraint, one after the other. A RequestError refuses the request.
        """
        return partial(self.submit, request)

    def render_chat(self, chat: ChatPrompt) -> RenderedChat:
        """As `InferenceEngine.render_chat`; on the same thread as `prepare`."""
        raise TypeError("called without the capability vision")

    @abstractmethod
    def abort(self, request_id: str) -> None:
        """Forget a request at once; unknown ids are ignored (it may just have finished)."""

    @abstractmethod
    def step(self) -> list[StepOutput]:
        """Advance every running sequence; called only while `busy()`."""

    @abstractmethod
    def busy(self) -> bool:
        """There is something to step."""

    def interrupt(self, request_id: str) -> None:  # noqa: B027 - optional
        """Any thread: this request's abort is in the inbox; a long step may end early for it."""

    def pair(self, query: list[int], document: list[int]) -> list[int]:
        """The prompt whose vector's only number is the document's score.

        Any thread; called only where `capabilities.score`. ContextLengthExceeded.
        """
        raise TypeError("called without the capability score")

    @abstractmethod
    def tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]: ...

    @abstractmethod
    def detokenize(self, token_ids: Sequence[int]) -> bytes: ...

    @abstractmethod
    def stats(self) -> EngineStats: ...

    @abstractmethod
    def close(self) -> None: ...


class SteppedEngine(InferenceEngine):
    """Runs an `EngineCore` on a thread of its own."""

    _core: EngineCore

    def __init__(self, core: EngineCore | None = None) -> None:
        """core: None where a subclass chooses it in `load`, by the model."""
        if core is not None:
            self._core = core
        self._inbox: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._streams: dict[str, asyncio.Queue[Any]] = {}
        """What `step` gave to each request."""
        self._pooled = itertools.count(1)
        self._thread: threading.Thread | None = None
        # One thread, so that equal requests keep their order.
        self._preparing = ThreadPoolExecutor(1, thread_name_prefix="prepare-engine")
        self._lost: EngineLost | None = None
        self._steps = 0
        self._working = False
        """The engine thread has something to do; also when nobody waits for it any more."""

    async def load(self, spec: ModelSpec) -> LoadedModel:
        loop = asyncio.get_running_loop()
        loaded: asyncio.Future[LoadedModel] = loop.create_future()
        self._thread = threading.Thread(
            target=self._run, args=(spec, loop, loaded), name="engine", daemon=True
        )
        self._thread.start()
        return await loaded

    async def generate(self, request: GenerateRequest) -> AsyncIterator[TokenDelta]:
        submit: Callable[[], None] = partial(self._core.submit, request)
        if request.sampling.constraint is not None and self._lost is None:
            loop = asyncio.get_running_loop()
            submit = await loop.run_in_executor(self._preparing, self._core.prepare, request)
        if self._lost is not None:
            raise self._lost
        stream: asyncio.Queue[TokenDelta | TricornError] = asyncio.Queue()
        self._streams[request.request_id] = stream
        self._inbox.put(lambda: self._submit(request.request_id, submit))
        unfinished = request.sampling.n
        try:
            while unfinished:
                item = await stream.get()
                if isinstance(item, TricornError):
                    unfinished = 0
                    raise item
                if item.finish_reason is not None:
                    unfinished -= 1
                yield item
        finally:
            del self._streams[request.request_id]
            if unfinished:
                self._inbox.put(lambda: self._core.abort(request.request_id))
                self._core.interrupt(request.request_id)

    async def render_chat(self, chat: ChatPrompt) -> RenderedChat:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._preparing, self._core.render_chat, chat)

    async def embed(self, prompts: Sequence[list[int]]) -> Embeddings:
        return Embeddings(await self._pool(prompts), sum(map(len, prompts)))

    async def score(self, query: list[int], documents: Sequence[list[int]]) -> Scores:
        pairs = [self._core.pair(query, document) for document in documents]
        vectors = await self._pool(pairs)
        return Scores([score for (score,) in vectors], sum(map(len, pairs)))

    async def _pool(self, prompts: Sequence[list[int]]) -> Vectors:
        waiting = self._core.pooling
        if waiting is None:
            raise TypeError("called without the capability embed or score")
        if self._lost is not None:
            raise self._lost
        name = f"pooled-{next(self._pooled)}"
        stream: asyncio.Queue[Vectors | TricornError] = asyncio.Queue()
        self._streams[name] = stream
        self._inbox.put(lambda: waiting.add(name, prompts))
        try:
            outcome = await stream.get()
        except asyncio.CancelledError:
            self._inbox.put(lambda: waiting.abort(name))
            raise
        finally:
            del self._streams[name]
        if isinstance(outcome, TricornError):
            raise outcome
        return outcome

    def tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]:
        return self._core.tokenize(text, add_special=add_special, parse_special=parse_special)

    def detokenize(self, token_ids: Sequence[int]) -> bytes:
        return self._core.detokenize(token_ids)

    def stats(self) -> EngineStats:
        pending = max(len(self._streams), int(self._working))
        return msgspec.structs.replace(self._core.stats(), steps=self._steps, pending=pending)

    async def unload(self) -> None:
        await asyncio.to_thread(self._preparing.shutdown, cancel_futures=True)
        self._inbox.put(None)
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join)

    # --- the engine thread ---------------------------------------------------------------------

    def _run(
        self, spec: ModelSpec, loop: asyncio.AbstractEventLoop, loaded: asyncio.Future[LoadedModel]
    ) -> None:
        try:
            model = self._core.open(spec)
        except Exception as error:  # noqa: BLE001 - `load` raises it, on the event loop
            loop.call_soon_threadsafe(loaded.set_exception, error)
            return
        loop.call_soon_threadsafe(loaded.set_result, model)
        self._loop = loop
        try:
            while self._drain_inbox():
                if self._core.busy():
                    self._hand_over(self._core.step())
                    self._steps += 1
        except Exception as error:
            # The core's state is unknown now: every stream ends and the process is to be replaced.
            log.exception("engine step failed")
            loop.call_soon_threadsafe(self._fail_all, EngineLost(f"the engine failed: {error}"))
        finally:
            self._working = False
            self._core.close()

    def _drain_inbox(self) -> bool:
        """Do what was asked; waits while there is nothing to step. False: the engine is to end."""
        while True:
            self._working = self._core.busy()
            try:
                action = self._inbox.get(block=not self._working)
            except queue.Empty:
                return True
            self._working = True
            if action is None:
                return False
            action()

    def _submit(self, request_id: str, submit: Callable[[], None]) -> None:
        try:
            submit()
        except TricornError as error:
            self._hand_over([(request_id, error)])

    def _hand_over(self, outputs: list[StepOutput]) -> None:
        if outputs:
            self._loop.call_soon_threadsafe(self._deliver, outputs)

    # --- the event loop ------------------------------------------------------------------------

    def _deliver(self, outputs: list[StepOutput]) -> None:
        for request_id, item in outputs:
            stream = self._streams.get(request_id)
            if stream is not None:
                stream.put_nowait(item)

    def _fail_all(self, error: EngineLost) -> None:
        self._lost = error
        for stream in self._streams.values():
            stream.put_nowait(error)


def argument(engine_args: dict[str, Any], name: str, kind: type, default: Any) -> Any:
    """One of the engine's start-up arguments, its type checked. TypeError names it."""
    value = engine_args.get(name, default)
    if value is not None and not isinstance(value, kind if kind is not float else (int, float)):
        raise TypeError(f"engine_args.{name} must be {kind.__name__}, got {value!r}")
    return value
