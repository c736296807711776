"""llama.cpp as an engine: load a GGUF, step the scheduler's chunks, sample, hand out deltas."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence as ReadOnlySequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property, partial
from pathlib import Path

from tricorn.chat.text import TextStream
from tricorn.engines.base import EngineStats
from tricorn.engines.constraints import ConstraintCompiler, Matcher
from tricorn.engines.llamacpp import binding, footprint, options
from tricorn.engines.llamacpp.kv import KvCache
from tricorn.engines.llamacpp.loaded import loaded_model
from tricorn.engines.llamacpp.pictures import Picture
from tricorn.engines.llamacpp.sampling import Candidates, Sampler, token_logprob
from tricorn.engines.llamacpp.scheduler import Chunk, Scheduler, Sequence
from tricorn.engines.llamacpp.vision import open_vision
from tricorn.engines.prompt_logprobs import rows_at_once, tell, to_begin
from tricorn.engines.request import (
    ChatPrompt,
    FinishReason,
    GenerateRequest,
    RenderedChat,
    TokenDelta,
    TokenLogprob,
)
from tricorn.engines.spec import LoadedModel, ModelSpec
from tricorn.engines.stepped import EngineCore, StepOutput
from tricorn.engines.thoughts import Thought
from tricorn.errors import EngineGenerateError, InvalidRequest, ModelLoadFailed
from tricorn.hardware import facts
from tricorn.model_facts import gguf

WORTH_ABORTING = 64
"""Prompt tokens in a step from which on it is cut short; a shorter one is over soon anyway, and the
others in it would have to be computed again."""


class LlamaCppCore(EngineCore):
    def open(self, spec: ModelSpec) -> LoadedModel:
        machine = facts.cpu_and_memory()
        available = spec.options.memory or machine.memory_available
        cores = machine.physical_cores or 1
        chosen = options.parse(spec.options, cores=cores, device=spec.device)
        self._model = binding.Model(Path(spec.path), chosen)
        if not self._model.has_decoder:
            raise ModelLoadFailed(
                f"{Path(spec.path).name} has no decoder: it cannot generate text. For embeddings, "
                "its file must say how it pools, or engine_args: {pooling_type: mean}"
            )
        self._context_length, cells = options.kv_size(
            spec.options.context_length,
            chosen.kv_tokens,
            trained=self._model.context_trained,
            bytes_per_token=footprint.bytes_per_token(
                spec.facts or gguf.inspect(Path(spec.path)).facts, chosen
            ),
            available_bytes=available,
        )
        max_running = spec.options.max_num_seqs or options.DEFAULT_MAX_NUM_SEQS
        max_running = min(max_running, binding.max_slots(), chosen.n_batch)
        with ThreadPoolExecutor(1) as beside:  # the context is long in native code
            beside.submit(lambda: self._model.end_tokens)
            self._context = binding.Context(self._model, chosen, cells=cells, slots=max_running)
        kv = KvCache(
            self._context.cells,
            max_running,
            self._context,
            parked_bytes=options.parked_bytes(chosen.cache_ram, available_bytes=available),
            shares_prefixes=self._model.shares_prefixes,
            kept=spec.options.cache_size if spec.options.prefix_cache else 0,
        )
        prefill_budget = spec.options.prefill_budget or options.DEFAULT_PREFILL_BUDGET
        self._scheduler = Scheduler(
            kv,
            max_running=max_running,
            max_tokens=chosen.n_batch,
            max_scored=rows_at_once(self._model.vocab_size),
            prefill_budget=prefill_budget,
        )
        self._candidates = Candidates(self._model.vocab_size)
        self._in_prefill: frozenset[str] = frozenset()
        self._prompt_tokens = self._generated_tokens = 0
        self._vision = open_vision(Path(spec.path), self._model, chosen, spec.options.chat_template)
        return loaded_model(
            self._model,
            self._context,
            chosen,
            context_length=self._context_length,
            max_running=max_running,
            prefill_budget=prefill_budget,
            parked_bytes=kv.parked.budget,
            kept=spec.options.cache_size if spec.options.prefix_cache else 0,
            eye=self._vision.says,
            sees=self._vision.chats is not None,
        )

    # --- requests ------------------------------------------------------------------------------

    def render_chat(self, chat: ChatPrompt) -> RenderedChat:
        assert self._vision.chats is not None
        return self._vision.chats.render(chat)

    def prepare(self, request: GenerateRequest) -> Callable[[], None]:
        constraint, n = request.sampling.constraint, request.sampling.n
        assert constraint is not None
        return partial(self._queue, request, [self._compiler.matcher(constraint) for _ in range(n)])

    @cached_property
    def _compiler(self) -> ConstraintCompiler:
        # At the first constraint: reading the whole vocabulary takes time and memory.
        return ConstraintCompiler(
            self._model.constraint_tokenizer(), end_tokens=self._model.end_tokens
        )

    def submit(self, request: GenerateRequest) -> None:
        self._queue(request, [None] * request.sampling.n)

    def _queue(self, request: GenerateRequest, matchers: ReadOnlySequence[Matcher | None]) -> None:
        for token in request.sampling.logit_bias:
            if not 0 <= token < self._model.vocab_size:
                raise InvalidRequest(
                    f"logit_bias names token {token}, but this model's tokens go from 0 to "
                    f"{self._model.vocab_size - 1}",
                    param="logit_bias",
                )
        if request.rendered and request.prompt_logprobs is not None:
            raise InvalidRequest(
                "llama.cpp does not tell the probabilities of a prompt with images",
                param="prompt_logprobs",
            )
        self._prompt_tokens += len(request.prompt_token_ids)
        sequences = [
            Sequence(
                request,
                index,
                list(request.prompt_token_ids),
                matcher=matcher,
                text=TextStream.of(request.sampling),
                pictures=request.rendered or (),
            )
            for index, matcher in enumerate(matchers)
        ]
        for sequence in to_begin(request, sequences):
            self._scheduler.add(sequence)

    def abort(self, request_id: str) -> None:
        for sequence in self._scheduler.abort(request_id):
            self._close_sampler(sequence)

    def interrupt(self, request_id: str) -> None:
        # What an aborted step has left behind can only be cut off where sequences can be cut.
        if request_id in self._in_prefill and self._model.shares_prefixes:
            self._context.abort()

    def busy(self) -> bool:
        return bool(self._scheduler.running or self._scheduler.waiting)

    # --- a step --------------------------------------------------------------------------------

    def step(self) -> list[StepOutput]:
        chunks = self._scheduler.plan()
        texts = [chunk for chunk in chunks if chunk.picture is None]
        outputs = self._read(texts) if texts else []
        for chunk in chunks:
            # Without a slot: it was preempted, or its request failed, a moment ago.
            if chunk.picture is not None and chunk.sequence.slot is not None:
                self._see(chunk, chunk.picture)
        return outputs

    def _read(self, chunks: list[Chunk]) -> list[StepOutput]:
        """One decode for the tokens of all sequences, and what follows from it."""
        rows = self._fill(chunks)
        result = self._decode(chunks)
        if result:
            for chunk in chunks:
                self._scheduler.kv.undo(chunk.slot)
            if result == binding.NO_ROOM:
                self._find_room()
            return []
        for chunk in chunks:
            tokens = chunk.sequence.tokens[chunk.start : chunk.start + chunk.count]
            self._scheduler.kv.computed(chunk.slot, tokens)
        outputs: list[StepOutput] = []
        for chunk, row in zip(chunks, rows, strict=True):
            if chunk.sequence.scores_prompt:
                self._score_prompt(chunk, row)
            # Without a slot: its request failed a moment ago, by another of its n answers.
            if chunk.samples and chunk.sequence.slot is not None:
                outputs.append(self._advance_or_fail(chunk.sequence, row))
        return outputs

    def _see(self, chunk: Chunk, picture: Picture) -> None:
        """One decode for a part of a picture."""
        at = chunk.start - picture.start
        self._in_prefill = frozenset([chunk.sequence.request.request_id])
        try:
            result = self._context.decode_embeddings(
                chunk.slot.number,
                chunk.start,
                picture.embeddings[at : at + chunk.count],
                causal=not picture.at_once,
            )
        finally:
            self._in_prefill = frozenset()
        if not result:
            tokens = chunk.sequence.tokens[chunk.start : chunk.start + chunk.count]
            self._scheduler.kv.computed(chunk.slot, tokens)
            return
        self._scheduler.kv.undo(chunk.slot)
        if result == binding.NO_ROOM:
            self._find_room()

    def _fill(self, chunks: list[Chunk]) -> list[int]:
        self._context.clear()
        return [
            self._context.add(
                chunk.slot.number,
                chunk.start,
                chunk.sequence.tokens[chunk.start : chunk.start + chunk.count],
                logits_at_end=chunk.samples,
                all_logits=chunk.sequence.scores_prompt,
            )
            for chunk in chunks
        ]

    def _decode(self, chunks: list[Chunk]) -> int:
        prefill = [chunk for chunk in chunks if chunk.count > 1]
        if sum(chunk.count for chunk in prefill) >= WORTH_ABORTING:
            self._in_prefill = frozenset(chunk.sequence.request.request_id for chunk in prefill)
        try:
            return self._context.decode()
        finally:
            self._in_prefill = frozenset()

    def _find_room(self) -> None:
        """llama.cpp found no room where our count says there is: park cached prefixes, then preempt
        a sequence."""
        kv = self._scheduler.kv
        if not kv.park_idle():
            if len(self._scheduler.running) == 1:
                raise binding.DecodeError("no room in the KV cache for a single sequence")
            self._scheduler.preempt()

    def _score_prompt(self, chunk: Chunk, last_row: int) -> None:
        """The logits of all tokens of the chunk are there; `last_row`: those of its last one."""
        known, end = chunk.sequence.prompt_logprobs, chunk.start + chunk.count
        assert known is not None
        alternatives = known.alternatives

        def score(position: int, token: int) -> TokenLogprob:
            logits = self._context.logits(last_row - (end - 1 - position))
            return token_logprob(logits, token, alternatives, self._name, ranked=True)

        known.take(chunk.sequence.request.prompt_token_ids, end, score)

    def _name(self, token: int) -> bytes:
        return self._model.detokenize([token])

    def _advance_or_fail(self, sequence: Sequence, row: int) -> StepOutput:
        request_id = sequence.request.request_id
        try:
            return request_id, self._advance(sequence, row)
        except EngineGenerateError as error:
            self.abort(request_id)
            return request_id, error

    def _advance(self, sequence: Sequence, row: int) -> TokenDelta:
        """Sample the sequence's next token and say what that adds; ends it where it is to end."""
        sampling = sequence.request.sampling
        first = sequence.generated == 0
        cached = sequence.cached_tokens if first else None
        prompt = tell(sequence, self._scheduler.add) if first else None
        if sampling.max_tokens == 0:
            self._end(sequence)
            return TokenDelta(
                sequence.index, "", [], "length", cached_tokens=cached, prompt_logprobs=prompt
            )
        logits = self._context.logits(row)
        if sequence.sampler is None:
            sequence.sampler = self._sampler(sequence)
        token = sequence.sampler.sample(logits, sequence.generated)
        logprobs = (
            None
            if sampling.logprobs is None
            else [token_logprob(logits, token, sampling.logprobs, self._model.piece)]
        )
        sequence.tokens.append(token)
        sequence.generated += 1
        self._generated_tokens += 1
        text, finish, reason = self._text_and_end(sequence, token)
        if finish is not None:
            self._end(sequence)
        return TokenDelta(sequence.index, text, [token], finish, reason, logprobs, cached, prompt)

    def _text_and_end(
        self, sequence: Sequence, token: int
    ) -> tuple[str, FinishReason | None, str | int | None]:
        sampling = sequence.request.sampling
        may_stop = sequence.generated > sampling.min_tokens
        if token in self._model.end_tokens:
            return sequence.text.finish(), "stop", None
        if token in sampling.stop_token_ids and may_stop:
            return sequence.text.finish(), "stop", token
        shown = token in sampling.shown_tokens
        piece = self._model.detokenize([token]) if shown else self._model.piece(token)
        text, stop = sequence.text.push(piece, check_stop=may_stop)
        if stop is not None:
            return text, "stop", stop
        full = len(sequence.tokens) >= self._context_length
        if full or sequence.generated == sampling.max_tokens:
            return text + sequence.text.finish(), "length", None
        return text, None, None

    def _sampler(self, sequence: Sequence) -> Sampler:
        limit = sequence.request.sampling.thought_limit
        return Sampler(
            self._candidates,
            sequence.request.sampling,
            sequence.index,
            vocab_size=self._model.vocab_size,
            prompt=[token for token in sequence.request.prompt_token_ids if token >= 0],
            end_tokens=self._model.end_tokens,
            matcher=sequence.matcher,
            thought=None if limit is None else Thought(limit, self._name),
        )

    def _end(self, sequence: Sequence) -> None:
        self._scheduler.end(sequence)
        self._close_sampler(sequence)

    @staticmethod
    def _close_sampler(sequence: Sequence) -> None:
        if sequence.sampler is not None:
            sequence.sampler.close()

    # --- the rest ------------------------------------------------------------------------------

    def tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]:
        return self._model.tokenize(text, add_special=add_special, parse_special=parse_special)

    def detokenize(self, token_ids: ReadOnlySequence[int]) -> bytes:
        return self._model.detokenize(token_ids)

    def stats(self) -> EngineStats:
        scheduler = self._scheduler
        return EngineStats(
            running=len(scheduler.running),
            waiting=len(scheduler.waiting),
            kv_used=scheduler.kv.share_in_use,
            prefix_queries=scheduler.prefix_queries,
            prefix_hits=scheduler.prefix_hits,
            prompt_tokens=self._prompt_tokens,
            generated_tokens=self._generated_tokens,
            preemptions=scheduler.preemptions,
        )

    def close(self) -> None:
        self._vision.close()
        self._context.close()
        self._model.close()
