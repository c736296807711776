"""What goes into the next step."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.engines.llamacpp_steps import add, distinct, scheduler, sequence, sizes, step

from tricorn.engines.llamacpp.scheduler import Sequence
from tricorn.engines.prefix import SHARING_WORTH
from tricorn.engines.request import GenerateRequest, SamplingParams, Waited


def test_a_prompt_alone_uses_the_whole_step() -> None:
    """Nobody decodes, so nobody has to wait: chunks of max_tokens."""
    s = scheduler(max_tokens=100)
    add(s, "a", distinct(1, 250))
    assert [sizes(step(s)) for _ in range(4)] == [{"a": 100}, {"a": 100}, {"a": 50}, {"a": 1}]


def test_only_the_chunk_with_the_last_token_samples() -> None:
    """The logits of the middle of a prompt are not wanted."""
    s = scheduler(max_tokens=100)
    new = add(s, "a", distinct(1, 150))
    generated = []
    for _ in range(3):
        step(s)
        generated.append(new.generated)
    assert generated == [0, 1, 2]


def test_decoding_joins_prefill_under_the_budget() -> None:
    """While one decodes, another's prompt comes in pieces of prefill_budget, in the same steps."""
    s = scheduler(prefill_budget=10)
    add(s, "a", distinct(1, 20))
    step(s)
    add(s, "b", distinct(2, 25))
    assert [sizes(step(s)) for _ in range(4)] == [
        {"a": 1, "b": 10},
        {"a": 1, "b": 10},
        {"a": 1, "b": 5},
        {"a": 1, "b": 1},
    ]


def test_the_budget_is_shared_by_prompts_in_order() -> None:
    """Two prompts together get prefill_budget, the older one first."""
    s = scheduler(prefill_budget=10)
    for name in ("a", "b"):
        add(s, name, distinct(ord(name), 5))
    step(s)
    add(s, "c", distinct(2, 14))
    add(s, "d", distinct(3, 20))
    assert sizes(step(s)) == {"a": 1, "b": 1, "c": 10}
    assert sizes(step(s)) == {"a": 1, "b": 1, "c": 4, "d": 6}


def test_a_burst_is_read_in_larger_steps_while_few_decode() -> None:
    """The budget grows with how many wait for their first token for each that waits for a next."""
    s = scheduler(max_tokens=100, prefill_budget=10)
    add(s, "first", distinct(0, 5))
    step(s)
    for number in range(1, 5):
        add(s, str(number), distinct(number, 35))
    assert sizes(step(s)) == {"first": 1, "1": 35, "2": 5}
    assert sizes(step(s)) == {"first": 1, "1": 1, "2": 10}


def test_ended_sequences_leave_the_kv_cache_while_others_compute() -> None:
    """Steps walk over all used cells; the prefix is found again in main memory."""
    s = scheduler(max_tokens=100)
    ended = add(s, "ended", distinct(1, 40))
    step(s)
    s.end(ended)
    add(s, "other", distinct(2, 10))
    step(s)
    assert s.kv.free_cells == 1000 - 10
    again = add(s, "again", distinct(1, 60))
    step(s)
    assert again.cached_tokens == 40


def test_a_step_never_has_more_than_max_tokens() -> None:
    """Decoding sequences count too."""
    s = scheduler(max_tokens=8, prefill_budget=100, max_running=6)
    for n in range(4):
        add(s, f"d{n}", distinct(n, 2))
    step(s)
    add(s, "p", distinct(9, 50))
    assert sizes(step(s)) == {"d0": 1, "d1": 1, "d2": 1, "d3": 1, "p": 4}


def test_no_more_than_max_running_are_admitted() -> None:
    """The rest waits, in order, and takes the place of what ends."""
    s = scheduler(max_running=2)
    first, second, third = (add(s, name, distinct(n, 4)) for n, name in enumerate("abc"))
    assert sizes(step(s)) == {"a": 4, "b": 4}
    assert list(s.waiting) == [third]
    s.end(first)
    assert sizes(step(s)) == {"b": 1, "c": 4}
    assert s.running == [second, third]


def test_requests_are_admitted_in_the_order_they_came() -> None:
    """One that does not fit yet is not overtaken by a smaller one behind it."""
    s = scheduler(cells=100)
    first = add(s, "a", distinct(1, 60))
    step(s)
    big, small = add(s, "big", distinct(2, 50)), add(s, "small", distinct(3, 2))
    assert sizes(step(s)) == {"a": 1}
    assert list(s.waiting) == [big, small]
    s.end(first)
    assert sizes(step(s)) == {"big": 50, "small": 2}


def test_a_burst_with_a_shared_prefix_computes_it_once() -> None:
    """The first computes it; the others wait for it and then add only what is their own."""
    s = scheduler(max_tokens=100)
    prefix = list(distinct(1, 80))
    everyone = [add(s, f"r{n}", [*prefix, *distinct(2 + n, 5)]) for n in range(5)]
    total: list[dict[str, int]] = [sizes(step(s)), sizes(step(s))]
    assert total[0] == {"r0": 85}
    assert total[1] == {"r0": 1, "r1": 5, "r2": 5, "r3": 5, "r4": 5}
    while s.waiting or any(x.generated == 0 for x in everyone):
        total.append(sizes(step(s)))
    prompts = sum(sum(one.values()) for one in total) - sum(x.generated - 1 for x in everyone)
    assert prompts == 80 + 5 * 5
    assert [x.cached_tokens for x in everyone] == [0, 80, 80, 80, 80]
    assert (s.prefix_queries, s.prefix_hits) == (5 * 85, 4 * 80)


def test_a_short_shared_prefix_is_not_waited_for() -> None:
    """Below SHARING_WORTH both start at once."""
    s = scheduler()
    common = list(distinct(1, SHARING_WORTH - 1))
    add(s, "a", [*common, 7, 7, 7])
    add(s, "b", [*common, 8, 8, 8])
    assert set(sizes(step(s))) == {"a", "b"}


def test_others_pass_those_that_wait_for_a_shared_prefix() -> None:
    """Waiting for a prefix holds up nobody else, and keeps its place in the queue."""
    s = scheduler(max_tokens=100)
    prefix = list(distinct(1, 50))
    add(s, "a", [*prefix, 1])
    twin = add(s, "twin", [*prefix, 2])
    add(s, "other", distinct(3, 10))
    assert sizes(step(s)) == {"a": 51, "other": 10}
    assert list(s.waiting) == [twin]
    assert sizes(step(s))["twin"] == 1


def test_a_cached_prefix_is_used_after_its_sequence_ended() -> None:
    """The next turn of a chat computes only what is new."""
    s = scheduler(max_tokens=100)
    first = add(s, "one", distinct(1, 30))
    step(s)
    s.end(first)
    second = add(s, "two", [*distinct(1, 30), 7, 8])
    assert sizes(step(s)) == {"two": 2}
    assert second.cached_tokens == 30


def test_abort_of_a_waiting_request() -> None:
    """All its sequences leave the queue, nobody else's."""
    s = scheduler()
    a0, other, a1 = sequence("a", [1, 2], 0), sequence("b", [3, 4]), sequence("a", [1, 2], 1)
    for one in (a0, other, a1):
        s.add(one)
    assert s.abort("a") == [a0, a1]
    assert list(s.waiting) == [other]


def test_abort_during_prefill() -> None:
    """What was computed of the prompt stays as a cached prefix."""
    s = scheduler(max_tokens=10)
    gone = add(s, "a", distinct(1, 30))
    step(s)
    assert s.abort("a") == [gone]
    assert (s.running, gone.slot) == ([], None)
    assert s.kv.available_cells() == s.kv.cells
    assert s.kv.match(list(distinct(1, 30)))[1] == 10
    assert s.plan() == []


def test_abort_while_decoding() -> None:
    """The others go on."""
    s = scheduler()
    add(s, "a", distinct(1, 5))
    add(s, "b", distinct(2, 5))
    step(s)
    step(s)
    s.abort("a")
    assert sizes(step(s)) == {"b": 1}


def test_abort_of_an_unknown_request_does_nothing() -> None:
    """It may just have ended."""
    s = scheduler()
    add(s, "a", [1, 2])
    assert s.abort("nobody") == []
    assert sizes(step(s)) == {"a": 2}


@settings(deadline=None, max_examples=100)
@given(
    st.lists(
        st.tuples(st.integers(1, 28), st.integers(0, 2), st.integers(1, 12)),
        min_size=1,
        max_size=12,
    ),
    st.integers(4, 32),
    st.integers(1, 16),
)
def test_every_request_ends_within_its_room(
    requests: list[tuple[int, int, int]], max_tokens: int, prefill_budget: int
) -> None:
    """In a cache that is always too small, no plan is larger than the room, and all get done."""
    s = scheduler(
        cells=48, slots=6, max_running=4, max_tokens=max_tokens, prefill_budget=prefill_budget
    )
    wanted: dict[Sequence, int] = {}
    for n, (length, family, answer) in enumerate(requests):
        prompt = [family * 1000 + at for at in range(length)]
        wanted[add(s, f"r{n}", prompt)] = answer
    steps = 0
    while s.running or s.waiting:
        steps += 1
        assert steps < 5000, "no progress"
        chunks = step(s)
        assert chunks, "a step without work"
        assert len(s.running) <= 4
        assert sum(chunk.count for chunk in chunks) <= max_tokens
        for one in [x for x in s.running if x.generated >= wanted[x]]:
            s.end(one)
    assert all(one.generated == wanted[one] for one in wanted)
    assert s.kv.available_cells() == 48


def test_a_request_is_told_that_it_waits_no_longer() -> None:
    """When it gets its place; not while another one has it."""
    it = scheduler(max_running=1)
    both = [Waited(), Waited()]
    for number, waited in enumerate(both):
        request = GenerateRequest(str(number), [1, 2, 3], SamplingParams(), waited=waited)
        it.add(Sequence(request, 0, [1, 2, 3]))
    it.plan()
    first, second = both
    assert first.seconds is not None
    assert second.seconds is None
    told = first.seconds
    it.end(it.running[0])
    it.plan()
    assert second.seconds is not None
    assert first.seconds == told
