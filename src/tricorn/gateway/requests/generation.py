"""A request that generates: what it asks of the engine, and what comes back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from queue import SimpleQueue
from typing import Any, NamedTuple

from tricorn.chat import prefix_chain
from tricorn.chat.pieces import Reading
from tricorn.chat.prefix_chain import Chain
from tricorn.chat.truncation import Truncated
from tricorn.engines.request import ChatPrompt, SamplingParams, TokenDelta
from tricorn.engines.spec import EngineCapabilities, LoadedModel
from tricorn.errors import InvalidRequest, UnsupportedParameter
from tricorn.gateway.guard import access, estimate
from tricorn.gateway.http.quick_socket import QuickSocket
from tricorn.gateway.requests.abilities import must_generate
from tricorn.gateway.requests.call import no_check
from tricorn.gateway.requests.errand import Errand
from tricorn.gateway.requests.fast_lane import Broken, FastLane, Unsent
from tricorn.gateway.services import Services
from tricorn.manager.protocol.calls import Granted
from tricorn.worker import protocol
from tricorn.worker.client import EngineClient


@dataclass(frozen=True)
class Job:
    """What to generate. Each prompt gets `sampling.n` sequences."""

    model: str
    request_id: str
    prompts: Sequence[protocol.Prompt]
    sampling: SamplingParams
    echo: bool = False
    """The prompt's text is wanted in `PromptTaken`."""
    priority: int = 0
    """As `GenerateRequest.priority`; one better than all others' only for those who may manage
    models."""
    prompt_logprobs: int | None = None
    """As in `GenerateRequest`."""
    check: Callable[[Granted], None] = no_check
    """Raises a RequestError for a model that cannot do what only this API family asks for."""
    keep_alive_s: float | None = None
    """As in `Acquire`."""


@dataclass(frozen=True)
class Leased:
    """A replica is ours. Comes again after a retry: what came before it is void."""

    model_id: str
    model: LoadedModel
    retried: bool


@dataclass(frozen=True)
class PromptTaken:
    position: int
    prompt_tokens: int
    prompt_text: str | None
    first_token: bytes | None = None
    reading: Reading | None = None
    truncated: Truncated | None = None


class Grown(NamedTuple):
    # One is made for each token of each stream: no other kind of class is made as fast.
    position: int
    delta: TokenDelta


@dataclass(frozen=True)
class Ended:
    """Every sequence of every prompt has ended."""


Event = Leased | PromptTaken | Grown | Ended | Unsent


class _Arrivals:
    """The inbox, as the engine's client has it: what came is noted when it comes, not when the
    handler gets to it behind a client that reads slowly."""

    def __init__(
        self, inbox: SimpleQueue[object], expected: int, note: Callable[[int, int, bool], None]
    ) -> None:
        """expected: requests in the engine. note: called with tokens of prompts, tokens of answers,
        and whether all those requests have finished."""
        self._inbox = inbox
        self._left = expected
        self._note = note

    def put(self, event: object, /) -> None:
        if isinstance(event, protocol.Delta):  # nearly all of them are
            self._note(0, len(event.delta.token_ids), False)
        elif isinstance(event, protocol.Started):
            self._note(event.prompt_tokens, 0, False)
        elif isinstance(event, protocol.Finished):
            self._left -= 1
            self._note(0, 0, not self._left)
        self._inbox.put(event)


class Generation(Errand[Event]):
    """sock, key: as in `Errand`. Its lease is back when the engine is done, however long the client
    takes to read."""

    def __init__(self, services: Services, job: Job, sock: Any = None, key: str = "") -> None:
        if job.priority < 0 and not access.heeds("priority"):
            job = replace(job, priority=0)
        self._job = job
        super().__init__(
            services, job.model, job.request_id, sock, key=key, keep_alive_s=job.keep_alive_s
        )

    def open_fast_lane(
        self, sock: QuickSocket, make: Callable[[int, TokenDelta], bytes]
    ) -> FastLane | None:
        """For a stream that has begun, so that nothing of it is tried again. None without a lease.

        make: what a delta adds to the stream, by its prompt's position.
        """
        engine, running = self._engine, self._running
        if engine is None or not running:
            return None

        def made(arrived: protocol.Delta) -> bytes:
            position = running.get(arrived.id)
            if position is None:
                return b""
            self.completion_tokens += len(arrived.delta.token_ids)
            return make(position, arrived.delta)

        lane = FastLane(sock, self._inbox, self._pulse, made)
        for number in running:
            engine.divert(number, lane.take)
        return lane

    def _prefix(self) -> Chain:
        # Of several prompts the first: they go to one replica, all of them.
        prompt = self._job.prompts[0]
        if isinstance(prompt, ChatPrompt):
            return prefix_chain.of_chat(prompt, self._model)
        if isinstance(prompt, protocol.TextPrompt):
            return prefix_chain.of_text(prompt.text, self._model)
        begins = prompt.before if isinstance(prompt, protocol.FillPrompt) else prompt.token_ids
        if isinstance(begins, str):
            return prefix_chain.of_text(begins, self._model)
        return prefix_chain.of_tokens(begins, self._model)

    def _reserve(self) -> int:
        return estimate.reserve(self._job.prompts, self._job.sampling)

    def _start(self, lease: Granted, engine: EngineClient) -> Event:
        job = self._job
        must_generate(lease)
        job.check(lease)
        _check_vocabulary(job.sampling, lease.model.vocab_size)
        _check_capabilities(job, lease.model.capabilities)
        arrivals = _Arrivals(self._inbox, len(job.prompts), self._note)
        for position, prompt in enumerate(job.prompts):
            number = engine.start(
                request_id=job.request_id,
                prompt=prompt,
                sampling=job.sampling,
                inbox=arrivals,
                prompt_text=job.echo and isinstance(prompt, protocol.TokenPrompt),
                priority=job.priority,
                prompt_logprobs=job.prompt_logprobs,
                adapter=lease.adapter,
                trace=self._trace,
            )
            self._running[number] = position
        return Leased(lease.model_id, lease.model, self._retried)

    def _told(self, arrived: object) -> Event | None:
        if isinstance(arrived, protocol.Delta):  # nearly all of them are
            position = self._running.get(arrived.id)
            return None if position is None else Grown(position, arrived.delta)
        match arrived:
            case Unsent():
                return arrived
            case Broken(error):
                raise error
            case protocol.Started(number) if number in self._running:
                return self._taken(self._running[number], arrived)
            case protocol.Finished(number, waited_s) if number in self._running:
                self.waited_s = waited_s if self.waited_s is None else self.waited_s
                return Ended() if self._ended(number) else None
        return None

    def _note(self, prompt_tokens: int, completion_tokens: int, done: bool) -> None:
        self.prompt_tokens += prompt_tokens
        self.completion_tokens += completion_tokens
        if done:
            self._release(lost=False)

    def _taken(self, position: int, started: protocol.Started) -> PromptTaken:
        text = started.prompt_text
        prompt = self._job.prompts[position]
        # The engine's text of a text prompt would have what the tokenizer put around it.
        if self._job.echo and isinstance(prompt, protocol.TextPrompt):
            text = prompt.text
        return PromptTaken(
            position,
            started.prompt_tokens,
            text,
            started.first_token,
            started.reading,
            started.truncated,
        )


def _check_vocabulary(sampling: SamplingParams, size: int) -> None:
    """Refuse token ids that the model does not have; which it has is known with the lease."""
    for param, ids in (
        ("logit_bias", sampling.logit_bias),
        ("stop_token_ids", sampling.stop_token_ids),
    ):
        for token in ids:
            if token >= size:
                raise InvalidRequest(
                    f"Invalid value for '{param}': this model's token ids end at {size - 1}, "
                    f"got {token}.",
                    param=param,
                )


def _check_capabilities(job: Job, capabilities: EngineCapabilities) -> None:
    """Refuse what this model's engine cannot do."""
    constraint = job.sampling.constraint
    if constraint is not None and not capabilities.constraints:
        raise UnsupportedParameter(
            f"'{constraint.param}' is not supported by the engine that serves '{job.model}'.",
            param=constraint.param,
        )
    for prompt in job.prompts:
        if isinstance(prompt, ChatPrompt) and prompt.images and not capabilities.vision:
            raise UnsupportedParameter(
                f"'{job.model}' takes no images.", param=prompt.images[0].param
            )
    if job.prompt_logprobs is not None and not capabilities.prompt_logprobs:
        param = "echo" if job.echo else "prompt_logprobs"
        asked = "'echo' together with 'logprobs'" if job.echo else "'prompt_logprobs'"
        raise UnsupportedParameter(
            f"{asked} is not supported by the engine that serves '{job.model}'.", param=param
        )
    gap = any(isinstance(prompt, protocol.FillPrompt) for prompt in job.prompts)
    if gap and not capabilities.fill_in_middle:
        raise UnsupportedParameter(
            f"'suffix' is not supported by '{job.model}': its vocabulary has no tokens to fill in "
            "the middle of a text with.",
            param="suffix",
        )
