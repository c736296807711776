"""Prompts of which every token is scored, among others in the steps."""

from __future__ import annotations

from collections.abc import Sequence as ReadOnlySequence

from tests.engines.llamacpp_steps import add, scheduler, sequence, sizes, step

from tricorn.engines.llamacpp.scheduler import Scheduler, Sequence
from tricorn.engines.prefix import SHARING_WORTH
from tricorn.engines.prompt_logprobs import PromptLogprobs
from tricorn.engines.request import TokenLogprob


def scored(to: Scheduler, name: str, prompt: ReadOnlySequence[int]) -> Sequence:
    """Its prompt's log probabilities are wanted."""
    new = sequence(name, prompt)
    new.prompt_logprobs = PromptLogprobs(0)
    to.add(new)
    return new


def step_scoring(of: Scheduler) -> dict[str, int]:
    """As `step`, with logprobs for the prompt tokens whose logits were wanted."""
    chunks = of.plan()
    wanted = [chunk.sequence for chunk in chunks if chunk.sequence.scores_prompt]
    for chunk in chunks:
        end = chunk.start + chunk.count
        tokens = chunk.sequence.tokens
        sampled = chunk.samples
        of.kv.computed(chunk.slot, tokens[chunk.start : end])
        if chunk.sequence in wanted and chunk.sequence.prompt_logprobs is not None:
            prompt = chunk.sequence.request.prompt_token_ids
            chunk.sequence.prompt_logprobs.take(prompt, end, _told)
        if sampled:
            tokens.append(-len(tokens))
            chunk.sequence.generated += 1
    return sizes(chunks)


def _told(position: int, token: int) -> TokenLogprob:
    return TokenLogprob(b"", -float(position), token)


def test_a_scored_prompt_is_computed_anew() -> None:
    """Though it is cached; its logits are not. All of them are gathered, in order."""
    of = scheduler(max_scored=4)
    first = add(of, "first", range(10))
    step(of)
    of.end(first)
    again = scored(of, "again", range(10))
    seen = []
    while again.generated == 0:
        seen.append(step_scoring(of).get("again"))
    assert seen == [4, 4, 2]
    assert again.cached_tokens == 0
    assert again.prompt_logprobs is not None
    told = [(entry.logprob, entry.token_id) for entry in again.prompt_logprobs.entries]
    assert told == [(-float(at), at + 1) for at in range(9)]
    assert not again.scores_prompt


def test_the_room_for_logits_is_shared() -> None:
    """Two scored prompts together get no more rows than there are; others are not held up."""
    of = scheduler(max_scored=6, max_tokens=100)
    scored(of, "a", range(5))
    scored(of, "b", range(10, 20))
    add(of, "c", range(20, 50))
    assert step_scoring(of) == {"a": 5, "b": 1, "c": 30}


def test_a_scored_prompt_waits_for_nobody() -> None:
    """What another sequence is computing does not help it."""
    of = scheduler(max_tokens=8)
    prompt = range(SHARING_WORTH + 20)
    add(of, "first", prompt)
    of.plan()
    scored(of, "second", prompt)
    of.plan()
    assert [s.request.request_id for s in of.running] == ["first", "second"]


def test_a_preempted_scored_prompt_goes_on_where_it_was() -> None:
    """What was gathered is kept; of a cached prefix it takes no more than that."""
    of = scheduler(max_scored=4)
    victim = scored(of, "v", range(10))
    step_scoring(of)
    of.preempt()
    helper = add(of, "helper", range(10))
    assert len(victim.shareable) == 5
    while victim.generated == 0:
        step_scoring(of)
    assert helper.generated
    assert victim.prompt_logprobs is not None
    assert [entry.token_id for entry in victim.prompt_logprobs.entries] == list(range(1, 10))


def test_a_prompt_of_one_token_has_nothing_to_score() -> None:
    """Nothing predicts it."""
    of = scheduler()
    one = scored(of, "one", [1])
    assert not one.scores_prompt
    assert step_scoring(of) == {"one": 1}
