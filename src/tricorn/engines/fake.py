"""A deterministic engine without a model, with knobs to be slow, to crash and to hang.

It ships with the package: manager and gateway are tested against it, and so can be anything that is
built on Tricorn. Tokens are UTF-8 bytes (ids 0 to 255), EOS is 256; the answer repeats the last
message. Knobs, in `engine_args`:

    answer          text to answer with instead
    endless         repeat the answer until max_tokens
    pooling         make vectors ("embed", of 8 numbers) or compare texts ("score") instead; texts
                    with the same bytes are alike
    matryoshka      its vectors may be cut to any length
    constraints     take constraints: the answer to one is its own text, unless `answer` is given
    echo            the answer to a constraint repeats the last message too, which has to fit it
    chat_template   text of the chat template
    adapters        take adapters up to the largest rank known at the load: an answer then begins
                    with NAME#N, where N counts what was loaded
    prompt_logprobs false: say nothing of the prompt's tokens
    fill_in_middle  have the tokens for it: 257 to 259
    thinking_budget false: cannot end thoughts; an answer goes on behind the thought that was ended
    prefixes        tell what a prompt shares with those of ended sequences as read from a cache
    vision          take images: each is written into the prompt as <image HASH>
    token_delay_s   seconds each step takes
    load_delay_s    seconds the load takes
    native_load_s   … and seconds, a whole number, in which no other thread can run
    load_error      the load fails with this text
    generate_error  each request fails with this text …
    error_marker    … but only while this file exists
    crash_at_token  the process dies when a sequence has this many tokens …
    crash_marker    … but only if this file does not exist yet; it is made first
    hang_at_token   the step that gives a sequence this many tokens never returns …
    hang_marker     … likewise
    child           start a process; the engine is lost when it ends
    park            it can be parked
    park_error      parking fails with this text
    wake_delay_s    seconds that waking takes
    wake_error      waking fails with this text
    memory_bytes    what a load is thought to take, as `fake_footprint` says …
    token_bytes     … with so much more for each token of the context
    measured_bytes  what it is said to take once it is loaded
"""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Sequence

from tricorn.engines import fake_vision
from tricorn.engines.base import EngineStats, InferenceEngine
from tricorn.engines.fake_answers import (
    EOS,
    FakeSequence,
    last_message,
    prompt_logprobs,
    token_logprob,
)
from tricorn.engines.fake_faults import Child, Faults
from tricorn.engines.fake_footprint import CONTEXT
from tricorn.engines.fake_pooling import FakePoolingCore
from tricorn.engines.fake_prefixes import EndedPrompts
from tricorn.engines.request import (
    ChatPrompt,
    FinishReason,
    GenerateRequest,
    RenderedChat,
    TokenDelta,
)
from tricorn.engines.spec import Adapter, EngineCapabilities, FillTokens, LoadedModel, ModelSpec
from tricorn.engines.stepped import EngineCore, StepOutput, SteppedEngine, argument
from tricorn.engines.waiting import WaitingLine
from tricorn.errors import EngineGenerateError, ModelLoadFailed

CHAT_TEMPLATE = (
    "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant: {% endif %}"
)


class FakeCore(EngineCore):
    def open(self, spec: ModelSpec) -> LoadedModel:
        args = spec.options.engine_args
        self._answer = argument(args, "answer", str, None)
        self._endless = argument(args, "endless", bool, False)
        self._constraints = argument(args, "constraints", bool, False)
        self._echo = argument(args, "echo", bool, False)
        takes_adapters = argument(args, "adapters", bool, False)
        self._max_rank = max((a.rank for a in spec.adapters if takes_adapters), default=0)
        self._adapters: dict[Adapter, int] = {}
        self._adapter_numbers = itertools.count(1)
        self._park = argument(args, "park", bool, False)
        fill = FillTokens(257, 258, 259) if argument(args, "fill_in_middle", bool, False) else None
        self._token_delay_s = argument(args, "token_delay_s", float, 0.0)
        self._faults = Faults(args)
        self._context = spec.options.context_length or CONTEXT
        self._max_num_seqs = spec.options.max_num_seqs or 16
        self._ended = EndedPrompts(spec.options, used=argument(args, "prefixes", bool, False))
        self._running: list[FakeSequence] = []
        self._waiting: WaitingLine[FakeSequence] = WaitingLine()
        self._prompt_tokens = self._generated_tokens = 0
        self._clock = threading.Event()
        self._clock.wait(argument(args, "load_delay_s", float, 0.0))
        self._faults.in_load()
        return LoadedModel(
            context_length=self._context,
            vocab_size=260 if fill else 257,
            max_num_seqs=self._max_num_seqs,
            capabilities=EngineCapabilities(
                constraints=self._constraints,
                adapters=self._max_rank > 0,
                park=self._park,
                prompt_logprobs=argument(args, "prompt_logprobs", bool, True),
                fill_in_middle=fill is not None,
                vision=argument(args, "vision", bool, False),
                thinking_budget=argument(args, "thinking_budget", bool, True),
            ),
            max_adapter_rank=self._max_rank,
            chat_template=argument(args, "chat_template", str, CHAT_TEMPLATE),
            eos_token="",
            details={"engine": "fake", **self._ended.details},
            fill_tokens=fill,
            memory_bytes=argument(args, "measured_bytes", int, None),
        )

    def submit(self, request: GenerateRequest) -> None:
        self._faults.in_submit()
        prompt = self.detokenize(request.prompt_token_ids).decode(errors="replace")
        constraint = None if self._echo else request.sampling.constraint
        own = constraint.value or "{}" if constraint else last_message(prompt)
        text = self._answer or own
        if request.adapter is not None:
            text = f"{request.adapter.name}#{self._loaded(request.adapter)} {text}"
        answer = text.encode()
        self._prompt_tokens += len(request.prompt_token_ids)
        for index in range(request.sampling.n):
            self._waiting.append(FakeSequence(request, index, answer, self._endless))

    def _loaded(self, adapter: Adapter) -> int:
        if adapter not in self._adapters:
            self._adapters[adapter] = next(self._adapter_numbers)
        return self._adapters[adapter]

    def forget(self, adapter: Adapter) -> None:
        self._adapters.pop(adapter, None)

    def abort(self, request_id: str) -> None:
        self._running = [s for s in self._running if s.request.request_id != request_id]
        for sequence in tuple(self._waiting):
            if sequence.request.request_id == request_id:
                self._waiting.remove(sequence)

    def busy(self) -> bool:
        return bool(self._running or self._waiting)

    def step(self) -> list[StepOutput]:
        self._clock.wait(self._token_delay_s)
        while self._waiting and len(self._running) < self._max_num_seqs:
            sequence = self._waiting.pop()
            if sequence.request.waited is not None:
                sequence.request.waited.over()
            self._running.append(sequence)
        outputs: list[StepOutput] = []
        for sequence in list(self._running):
            delta = self._advance(sequence)
            outputs.append((sequence.request.request_id, delta))
            if delta.finish_reason:
                self._running.remove(sequence)
                self._ended.add(sequence.request.prompt_token_ids)
        return outputs

    def _advance(self, sequence: FakeSequence) -> TokenDelta:
        sampling = sequence.request.sampling
        first = sequence.generated == 0
        cached = self._ended.shared(sequence.request.prompt_token_ids) if first else None
        prompt = prompt_logprobs(sequence.request) if first and sequence.index == 0 else None
        if sampling.max_tokens == 0:
            return TokenDelta(
                sequence.index, "", [], "length", cached_tokens=cached, prompt_logprobs=prompt
            )
        token = sequence.next_token()
        if token == EOS and (sampling.ignore_eos or sequence.generated < sampling.min_tokens):
            token = ord(" ")
        sequence.generated += 1
        self._generated_tokens += 1
        self._faults.at_token(sequence.generated)

        finish: FinishReason | None = None
        reason: str | int | None = None
        text = ""
        if token == EOS:
            finish = "stop"
        elif token in sampling.stop_token_ids:
            finish, reason = "stop", token
        else:
            text, reason = sequence.text.push(
                bytes([token]), check_stop=sequence.generated > sampling.min_tokens
            )
            length = len(sequence.request.prompt_token_ids) + sequence.generated
            if reason is not None:
                finish = "stop"
            elif sequence.generated == sampling.max_tokens or length >= self._context:
                finish = "length"
        if finish and not isinstance(reason, str):
            text += sequence.text.finish()
        logprobs = None if sampling.logprobs is None else [token_logprob(token, sampling.logprobs)]
        return TokenDelta(sequence.index, text, [token], finish, reason, logprobs, cached, prompt)

    def tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]:
        return list(text.encode())

    def detokenize(self, token_ids: Sequence[int]) -> bytes:
        return bytes(token for token in token_ids if token < EOS)

    def stats(self) -> EngineStats:
        held = sum(len(s.request.prompt_token_ids) + s.generated for s in self._running)
        return EngineStats(
            running=len(self._running),
            waiting=len(self._waiting),
            kv_used=min(1.0, held / (self._context * self._max_num_seqs)),
            prompt_tokens=self._prompt_tokens,
            generated_tokens=self._generated_tokens,
        )

    def close(self) -> None:
        self._clock.set()


class FakeEngine(SteppedEngine):
    """There is no memory to give back: parking and waking only take their time, or fail."""

    def __init__(self) -> None:
        self._fake = FakeCore()
        super().__init__(self._fake)

    async def load(self, spec: ModelSpec) -> LoadedModel:
        args = spec.options.engine_args
        self._park_error = argument(args, "park_error", str, None)
        self._wake_delay_s = argument(args, "wake_delay_s", float, 0.0)
        self._wake_error = argument(args, "wake_error", str, None)
        self._child = Child() if argument(args, "child", bool, False) else None
        if "pooling" in args:
            self._core = FakePoolingCore()
        return await super().load(spec)

    async def render_chat(self, chat: ChatPrompt) -> RenderedChat:
        return fake_vision.render(chat, CHAT_TEMPLATE)

    async def drop_adapter(self, adapter: Adapter) -> None:
        self._inbox.put(lambda: self._fake.forget(adapter))

    async def check(self) -> None:
        if self._child is not None:
            self._child.check()

    async def unload(self) -> None:
        if self._child is not None:
            self._child.end()
        await super().unload()

    async def park(self) -> None:
        if self._park_error is not None:
            raise EngineGenerateError(self._park_error)

    async def wake(self) -> None:
        await asyncio.sleep(self._wake_delay_s)
        if self._wake_error is not None:
            raise ModelLoadFailed(self._wake_error)


def create() -> InferenceEngine:
    return FakeEngine()
