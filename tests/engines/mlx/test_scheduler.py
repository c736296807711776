"""Who is computed and who waits."""

from __future__ import annotations

from tricorn.engines.mlx.memory import CacheCost, Layer
from tricorn.engines.mlx.prefixes import PrefixCache
from tricorn.engines.mlx.scheduler import Scheduler, Sequence
from tricorn.engines.prompt_logprobs import PromptLogprobs
from tricorn.engines.request import GenerateRequest, SamplingParams, TokenLogprob, Waited

COST = CacheCost((Layer(1),))
PROMPT = list(range(100, 140))


def scheduler(
    *, max_running: int = 4, steps: int = 100, trimmable: bool = True, prefixes: int = 1000
) -> Scheduler:
    """steps: room, in cache steps of 256 tokens."""
    return Scheduler(
        PrefixCache(prefixes, trimmable=trimmable),
        COST,
        max_running=max_running,
        room=256 * steps,
        trimmable=trimmable,
    )


def sequence(
    tokens: list[int], name: str = "r", *, max_tokens: int | None = 8, priority: int = 0
) -> Sequence:
    request = GenerateRequest(
        name, tokens, SamplingParams(max_tokens=max_tokens), priority=priority
    )
    return Sequence(request, 0, list(tokens))


def numbered(number: int, length: int = 10, *, priority: int = 0) -> Sequence:
    return sequence([number] * length, str(number), priority=priority)


def test_first_come_first_served_up_to_the_batch() -> None:
    """The others wait."""
    it = scheduler(max_running=2)
    for number in range(3):
        it.add(numbered(number))
    assert [a.sequence.request.request_id for a in it.admit()] == ["0", "1"]
    it.end(it.running[0])
    assert [a.sequence.request.request_id for a in it.admit()] == ["2"]


def test_a_sequence_for_which_there_is_no_memory_waits_and_so_do_those_behind() -> None:
    """Every sequence's cache is as wide as the longest one's; and none is overtaken for ever."""
    it = scheduler(steps=5)
    it.add(numbered(1))
    it.add(numbered(2, length=500))
    it.add(numbered(3))
    it.add(numbered(4))
    assert [a.sequence.request.request_id for a in it.admit()] == ["1", "2"]
    it.end(it.running[1])
    assert [a.sequence.request.request_id for a in it.admit()] == ["3", "4"]


def test_one_sequence_is_always_computed() -> None:
    """Nothing that ends would make more room for it."""
    it = scheduler(steps=1)
    it.add(numbered(1, length=1000))
    assert len(it.admit()) == 1
    assert it.make_room() is None


def test_the_youngest_goes_back_to_wait_when_memory_runs_short() -> None:
    """To the front of the queue, without a new count of its prompt."""
    it = scheduler(steps=3)
    old, young = numbered(1, length=100), numbered(2, length=100)
    it.add(old)
    it.add(young)
    it.admit()
    it.add(numbered(3))
    assert it.make_room() is None
    old.tokens += [1] * 156
    assert it.make_room() is young
    assert it.make_room() is None
    assert next(iter(it.waiting)) is young
    assert it.preemptions == 1
    assert it.admit() == []
    it.end(old)
    it.admit()
    assert it.prefix_queries == 200 + 10


def test_a_kept_prefix_is_gone_on_from() -> None:
    """And counted; the last token is computed whatever is kept, for its logits."""
    it = scheduler()
    it.prefixes.add(PROMPT, "cache", 10)
    it.add(sequence(PROMPT))
    (admission,) = it.admit()
    assert admission.length == len(PROMPT) - 1
    assert admission.sequence.cached_tokens == len(PROMPT) - 1
    assert (it.prefix_queries, it.prefix_hits) == (len(PROMPT), len(PROMPT) - 1)


def test_a_prompt_that_another_is_computing_is_waited_for() -> None:
    """n answers to one prompt compute it once: the rest go on from the first."""
    it = scheduler()
    first, second = sequence(PROMPT, "a"), sequence(PROMPT, "a")
    it.add(first)
    it.add(second)
    assert [a.sequence for a in it.admit()] == [first]
    assert it.is_awaited(first)
    assert it.admit() == []
    first.decoding = True
    (admission,) = it.admit()
    assert (admission.source, admission.length) == (first, len(PROMPT) - 1)


def test_a_short_common_prefix_is_not_waited_for() -> None:
    """It costs less than the wait."""
    it = scheduler()
    it.add(sequence([*PROMPT[:10], 1, 2], "a"))
    it.add(sequence([*PROMPT[:10], 3, 4], "b"))
    assert len(it.admit()) == 2


def test_sequences_that_cannot_be_cut_are_not_copied_from() -> None:
    """Their state is past the prompt; whoever shares only a part of it does not wait either."""
    it = scheduler(trimmable=False)
    first = sequence(PROMPT, "a")
    it.add(first)
    it.add(sequence([*PROMPT[:30], 1, 2], "b"))
    assert len(it.admit()) == 2
    first.decoding = True
    it.add(sequence(PROMPT, "c"))
    assert it.admit()[0].length == 0


def test_ending_takes_a_sequence_out_wherever_it_is() -> None:
    """A request may be aborted while it waits."""
    it = scheduler(max_running=1)
    it.add(numbered(1))
    it.add(numbered(2))
    it.admit()
    for name in ("1", "2"):
        for found in it.of_request(name):
            it.end(found)
    assert not it.running
    assert not it.waiting


def test_the_share_in_use() -> None:
    """Of the room for caches."""
    it = scheduler(steps=4)
    assert it.share_in_use == 0.0
    it.add(numbered(1))
    it.admit()
    assert it.share_in_use == 0.25


def test_a_better_priority_is_admitted_first() -> None:
    """Whoever came before it, as soon as a place is free."""
    it = scheduler(max_running=1)
    it.add(numbered(1))
    it.admit()
    it.add(numbered(2, priority=1))
    it.add(numbered(3, priority=-1))
    it.end(it.running[0])
    assert [a.sequence.request.request_id for a in it.admit()] == ["3"]


def test_the_worst_priority_goes_back_when_memory_runs_short() -> None:
    """Though another one is younger; and it comes back before its equals."""
    it = scheduler(steps=3)
    better, worse, young = (numbered(n, 100, priority=p) for n, p in ((1, 0), (2, 1), (3, 0)))
    for one in (better, worse, young):
        it.add(one)
    it.admit()
    it.add(numbered(4, priority=1))
    better.tokens += [1] * 156
    assert it.make_room() is worse
    assert [x.request.request_id for x in it.waiting] == ["2", "4"]
    assert it.running == [better, young]


def test_a_scored_prompt_shares_nothing_until_it_was_seen() -> None:
    """Its logits are in no cache, so that it neither takes one nor waits for one; afterwards, and
    for those that come later, it is a prompt like any."""
    it = scheduler()
    it.prefixes.add(PROMPT, "cache", 1)
    first = sequence(PROMPT, "first")
    first.prompt_logprobs = PromptLogprobs(0)
    second = sequence(PROMPT, "second")
    second.prompt_logprobs = PromptLogprobs(0)
    it.add(first)
    it.add(second)
    assert [(a.source, a.length) for a in it.admit()] == [(None, 0), (None, 0)]
    first.prompt_logprobs.take(PROMPT, len(PROMPT), lambda _at, token: TokenLogprob(b"", 0, token))
    assert not first.scores_prompt
    it.end(first)
    it.add(first)
    assert [a.length for a in it.admit()] == [len(PROMPT) - 1]


def test_a_request_is_told_that_it_waits_no_longer() -> None:
    """When it gets its place; not while another one has it."""
    it = scheduler(max_running=1)
    both = [Waited(), Waited()]
    for number, waited in enumerate(both):
        request = GenerateRequest(str(number), [1, 2, 3], SamplingParams(), waited=waited)
        it.add(Sequence(request, 0, [1, 2, 3]))
    it.admit()
    first, second = both
    assert first.seconds is not None
    assert second.seconds is None
    told = first.seconds
    it.end(it.running[0])
    it.admit()
    assert second.seconds is not None
    assert first.seconds == told
