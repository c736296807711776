"""MLX generating text: load a folder, step the batch generator, hand out deltas."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from collections.abc import Sequence as ReadOnlySequence
from functools import partial
from pathlib import Path
from time import monotonic

from tricorn.chat.text import TextStream
from tricorn.engines import fill
from tricorn.engines.base import EngineStats
from tricorn.engines.mlx import folder, memory, model, options
from tricorn.engines.mlx.endings import text_and_end
from tricorn.engines.mlx.pace import TELLING, Pace
from tricorn.engines.mlx.prefixes import Prefix, PrefixCache
from tricorn.engines.mlx.sampling import WARM_UP, Matcher, Sampler
from tricorn.engines.mlx.scheduler import Admission, Scheduler, Sequence
from tricorn.engines.mlx.scoring import PromptScorer
from tricorn.engines.mlx.tokenizer import Tokenizer
from tricorn.engines.prompt_logprobs import tell, to_begin
from tricorn.engines.request import GenerateRequest, SamplingParams, TokenDelta
from tricorn.engines.spec import EngineCapabilities, LoadedModel, ModelSpec
from tricorn.engines.stepped import EngineCore, StepOutput
from tricorn.engines.thoughts import Thought
from tricorn.errors import InvalidRequest
from tricorn.hardware import facts


class GenerationCore(EngineCore):
    def open(self, spec: ModelSpec) -> LoadedModel:
        chosen = options.parse(spec.options)
        files = folder.read(Path(spec.path))
        self._tokenizer = Tokenizer(files, trust_remote_code=chosen.trust_remote_code)
        working_set = model.working_set()
        plan_for = partial(
            memory.plan,
            chosen,
            recommended=working_set,
            available=memory.available(facts.cpu_and_memory(), spec.options.memory),
            name=files.path.name,
        )
        plan_for(weights=files.weight_bytes)  # refuses before the memory is full
        self._model = model.Model(files, chosen)
        plan = plan_for(weights=self._model.weight_bytes)
        self._context_length = memory.context_length(
            spec.options.context_length,
            trained=files.context_trained,
            room=plan.running,
            cost=self._model.cost,
            name=files.path.name,
        )
        metal = working_set is not None
        self._pace = Pace(alone=chosen.prefill_step_size, beside=spec.options.prefill_budget)
        max_running = spec.options.max_num_seqs or options.DEFAULT_MAX_NUM_SEQS
        self._prefill_batch = (
            1 if self._model.recurrent else min(chosen.prefill_batch_size, max_running)
        )
        self._batches = model.Batches(
            self._model, max_running=max_running, prefill_batch=self._prefill_batch
        )
        # The second time nothing has to be compiled.
        for tokens in (3, TELLING):
            sampler = self._sampler(WARM_UP, 0, [0])
            self._pace.measured(tokens, self._batches.warm_up(tokens, sampler))
        # After the batch generator, which sets a limit of its own.
        model.set_limits(plan)
        self._prefixes = PrefixCache(
            plan.prefixes if spec.options.prefix_cache else 0,
            trimmable=self._model.trimmable,
            most=spec.options.cache_size,
        )
        self._scheduler = Scheduler(
            self._prefixes,
            self._model.cost,
            max_running=max_running,
            room=plan.running,
            trimmable=self._model.trimmable,
        )
        self._scorer = PromptScorer(
            self._batches,
            self._whole,
            vocab_size=self._model.vocab_size,
        )
        self._by_uid: dict[int, Sequence] = {}
        self._left: list[int] = []
        """Numbers of sequences that are done and still in the batch generator."""
        self._prompt_tokens = self._generated_tokens = 0
        fill_tokens = fill.find(self._tokenizer.vocabulary.id_of)
        return LoadedModel(
            context_length=self._context_length,
            vocab_size=self._model.vocab_size,
            max_num_seqs=max_running,
            capabilities=EngineCapabilities(
                constraints=True,
                prompt_logprobs=True,
                fill_in_middle=fill_tokens is not None,
                thinking_budget=True,
            ),
            chat_template=files.templates.default,
            tool_template=files.templates.for_tools,
            bos_token=files.bos_token,
            eos_token=files.eos_token,
            adds_bos=self._tokenizer.adds_bos,
            memory_bytes=model.memory_in_use(),
            details={
                "description": files.model_type,
                "architecture": files.model_type,
                "device": "gpu" if metal else "cpu",
                "dtype": self._model.dtype,
                "quantization": files.quantization,
                "memory_limit_mib": plan.limit >> 20,
                "kv_mib": plan.running >> 20,
                "prompt_cache_mib": self._prefixes.budget >> 20,
                "prefix_caching": self._prefixes.budget > 0,
                "cache_size": spec.options.cache_size,
                "prefill_step_size": chosen.prefill_step_size,
                "prefill_budget": spec.options.prefill_budget,
                "shares_prefixes": self._model.trimmable,
            },
            fill_tokens=fill_tokens,
        )

    # --- requests ------------------------------------------------------------------------------

    def submit(self, request: GenerateRequest) -> None:
        self._queue(request, [None] * request.sampling.n)

    def prepare(self, request: GenerateRequest) -> Callable[[], None]:
        constraint = request.sampling.constraint
        assert constraint is not None
        compiler = self._tokenizer.constraints(self._model.vocab_size)
        matchers = [compiler.matcher(constraint) for _ in range(request.sampling.n)]
        return partial(self._queue, request, matchers)

    def _queue(self, request: GenerateRequest, matchers: Iterable[Matcher | None]) -> None:
        for token in request.sampling.logit_bias:
            if not 0 <= token < self._model.vocab_size:
                raise InvalidRequest(
                    f"logit_bias names token {token}, but this model's tokens go from 0 to "
                    f"{self._model.vocab_size - 1}",
                    param="logit_bias",
                )
        prompt = request.prompt_token_ids
        self._prompt_tokens += len(prompt)
        sequences = []
        for index, matcher in enumerate(matchers):
            sampler = self._sampler(request.sampling, index, prompt, matcher)
            text = TextStream.of(request.sampling)
            sequences.append(Sequence(request, index, list(prompt), sampler=sampler, text=text))
        for sequence in to_begin(request, sequences):
            self._scheduler.add(sequence)

    def _sampler(
        self,
        sampling: SamplingParams,
        index: int,
        prompt: list[int],
        matcher: Matcher | None = None,
    ) -> Sampler:
        limit = sampling.thought_limit
        return Sampler(
            sampling,
            index,
            vocab_size=self._model.vocab_size,
            prompt=prompt,
            end_tokens=self._tokenizer.end_tokens,
            matcher=matcher,
            thought=None if limit is None else Thought(limit, self._whole),
        )

    def _whole(self, token: int) -> bytes:
        return self._tokenizer.detokenize([token])

    def abort(self, request_id: str) -> None:
        for sequence in self._scheduler.of_request(request_id):
            self._leave(sequence)
            self._scheduler.end(sequence)
        self._remove_left()

    def busy(self) -> bool:
        return bool(self._scheduler.running or self._scheduler.waiting)

    # --- a step --------------------------------------------------------------------------------

    def step(self) -> list[StepOutput]:
        outputs: list[StepOutput] = []
        while (victim := self._scheduler.make_room()) is not None:
            outputs += self._preempt(victim)
        for admission in self._scheduler.admit():
            self._admit(admission)
        prefill = self._prefill_size()
        scored = self._scorer.step(prefill)
        if scored is not None:
            known, cache = scored
            self._insert(known, len(known.tokens) - 1, cache)
        started = monotonic()
        progress, advanced = self._batches.step(prefill)
        self._pace.measured(sum(prompt.computed for prompt in progress), monotonic() - started)
        for prompt in progress:
            self._prefilled(self._by_uid[prompt.uid], prompt.left)
        for uid, token in advanced:
            sequence = self._by_uid.get(uid)
            if sequence is not None:  # else its request has just failed
                outputs.append(self._advance(sequence, token))
        self._remove_left()
        return outputs

    def _prefill_size(self) -> int:
        """Tokens of each prompt that is worked on in the coming step."""
        running = self._scheduler.running
        prompts = sum(not sequence.decoding for sequence in running)
        tokens = self._pace.tokens(prompts=prompts, decoding=len(running) - prompts)
        return max(1, tokens // max(1, min(prompts, self._prefill_batch)))

    def _admit(self, admission: Admission) -> None:
        sequence, length = admission.sequence, admission.length
        if sequence.scores_prompt:
            self._scorer.add(sequence)
            return
        cache: model.Cache | None = None
        if isinstance(admission.source, Prefix):
            kept = admission.source
            cache = model.cut(kept.cache, length, len(kept.tokens))
        elif admission.source is not None:
            assert admission.source.uid is not None
            computed, whole = self._batches.extract(admission.source.uid)
            cache = model.cut(whole, length, len(computed))
        self._insert(sequence, length, cache)

    def _insert(self, sequence: Sequence, length: int, cache: model.Cache | None) -> None:
        sequence.uid = self._batches.insert(sequence.tokens, length, cache, sequence.sampler)
        self._by_uid[sequence.uid] = sequence

    def _prefilled(self, sequence: Sequence, left: int) -> None:
        sequence.decoding = left == 0
        if left == 1 and not self._model.trimmable and self._scheduler.is_awaited(sequence):
            # Only now is the cache that of the prompt alone, and it cannot be cut to it later.
            self._keep(sequence)

    def _advance(self, sequence: Sequence, token: int) -> StepOutput:
        """Say what the sequence's next token adds; ends it where it is to end."""
        request_id = sequence.request.request_id
        sampling = sequence.request.sampling
        first = sequence.generated == 0
        cached = sequence.cached_tokens if first else None
        prompt = tell(sequence, self._scheduler.add) if first else None
        logprob = sequence.sampler.take(token, self._tokenizer.vocabulary.piece)
        if sampling.max_tokens == 0:
            self._end(sequence)
            return request_id, TokenDelta(
                sequence.index, "", [], "length", cached_tokens=cached, prompt_logprobs=prompt
            )
        self._generated_tokens += 1
        text, finish, reason = text_and_end(
            sequence,
            token,
            piece=self._piece(token, sampling),
            end_tokens=self._tokenizer.end_tokens,
            context_length=self._context_length,
        )
        if finish is not None:
            self._end(sequence)
        elif sequence.sampler.error is not None:
            error = sequence.sampler.error
            self.abort(request_id)
            return request_id, error
        return request_id, TokenDelta(
            sequence.index,
            text,
            [token],
            finish,
            reason,
            [logprob] if logprob is not None else None,
            cached,
            prompt,
        )

    def _piece(self, token: int, sampling: SamplingParams) -> bytes:
        if token in sampling.shown_tokens:
            return self._tokenizer.detokenize([token])
        return self._tokenizer.vocabulary.piece(token)

    # --- leaving the batch -----------------------------------------------------------------------

    def _preempt(self, sequence: Sequence) -> list[StepOutput]:
        """The scheduler has sent it back to wait. What was drawn ahead of its last token is handed
        out, for the sampler has gone on already."""
        if sequence.uid is None:
            self._leave(sequence)
            return []
        self._keep(sequence)
        self._leave(sequence)
        self._remove_left()
        if not sequence.sampler.pending:
            return []
        return [self._advance(sequence, sequence.sampler.next_token())]

    def _end(self, sequence: Sequence) -> None:
        if sequence.uid is not None:
            self._keep(sequence)
            self._leave(sequence)
        self._scheduler.end(sequence)

    def _leave(self, sequence: Sequence) -> None:
        if sequence.scores_prompt:
            self._scorer.forget(sequence)
        if sequence.uid is not None:
            self._left.append(sequence.uid)
            del self._by_uid[sequence.uid]
            sequence.uid = None

    def _remove_left(self) -> None:
        if self._left:
            self._batches.remove(self._left)
            self._left = []

    def _keep(self, sequence: Sequence) -> None:
        """Its cache, for the prompts to come."""
        assert sequence.uid is not None
        if not self._prefixes.budget:
            return
        tokens, cache = self._batches.extract(sequence.uid)
        if self._prefixes.wants(tokens, self._model.cost.bytes_for(len(tokens))):
            self._prefixes.add(tokens, cache, model.settle(cache))

    # --- the rest ------------------------------------------------------------------------------

    def tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]:
        return self._tokenizer.tokenize(text, add_special=add_special, parse_special=parse_special)

    def detokenize(self, token_ids: ReadOnlySequence[int]) -> bytes:
        return self._tokenizer.detokenize(token_ids)

    def stats(self) -> EngineStats:
        scheduler = self._scheduler
        return EngineStats(
            running=len(scheduler.running),
            waiting=len(scheduler.waiting),
            kv_used=scheduler.share_in_use,
            prefix_queries=scheduler.prefix_queries,
            prefix_hits=scheduler.prefix_hits,
            prompt_tokens=self._prompt_tokens,
            generated_tokens=self._generated_tokens,
            preemptions=scheduler.preemptions,
        )

    def close(self) -> None:
        self._batches.close()
        self._model.close()
