"""Who gives way when the KV cache is full, by priority, and how it comes back."""

from __future__ import annotations

from tests.engines.llamacpp_steps import add, distinct, scheduler, sizes, step


def test_when_full_the_youngest_is_preempted_and_resumed() -> None:
    """It goes to the head of the queue, keeps its tokens, and is computed again later."""
    s = scheduler(cells=20, max_tokens=20)
    old = add(s, "old", distinct(1, 9))
    young = add(s, "young", distinct(2, 9))
    step(s)
    step(s)
    assert s.kv.free_cells == 0
    late = add(s, "late", distinct(3, 2))
    tokens = list(young.tokens)
    assert sizes(step(s)) == {"old": 1}
    assert s.preemptions == 1
    assert list(s.waiting) == [young, late]
    assert young.slot is None
    assert young.tokens == tokens
    s.end(old)
    assert sizes(step(s)) == {"young": len(tokens), "late": 2}
    assert young.tokens[: len(tokens)] == tokens
    assert young.generated == 3


def test_preemption_does_not_count_the_prefix_cache_twice() -> None:
    """cached_tokens and the hit rate are those of the first admission."""
    s = scheduler(cells=20, max_tokens=20)
    old = add(s, "old", distinct(1, 9))
    young = add(s, "young", distinct(2, 9))
    for _ in range(3):
        step(s)
    s.end(old)
    step(s)
    assert (young.cached_tokens, s.prefix_queries, s.prefix_hits) == (0, 18, 0)


def test_a_cached_prefix_is_not_room_for_its_own_user() -> None:
    """The cells that a new sequence takes over from the cache are not free for the rest of it."""
    s = scheduler(cells=100, max_tokens=100, prefill_budget=100)
    cached = add(s, "cached", distinct(1, 40))
    step(s)
    s.end(cached)
    add(s, "running", distinct(2, 50))
    step(s)
    waits = add(s, "waits", [*distinct(1, 40), *distinct(3, 20)])
    assert sizes(step(s)) == {"running": 1}
    assert list(s.waiting) == [waits]
    assert s.preemptions == 0


def test_abort_of_a_preempted_request() -> None:
    """It waits again, and leaves the queue."""
    s = scheduler(cells=20, max_tokens=20)
    add(s, "old", distinct(1, 9))
    young = add(s, "young", distinct(2, 9))
    for _ in range(3):
        step(s)
    assert list(s.waiting) == [young]
    assert s.abort("young") == [young]
    assert not s.waiting


def test_what_admitted_prompts_will_need_is_not_given_away() -> None:
    """A burst of long prompts is admitted as far as all of them fit, so none is preempted."""
    plan = scheduler(cells=300, max_tokens=50)
    for name, start in (("a", 0), ("b", 1000), ("c", 2000)):
        add(plan, name, distinct(start, 120))
    plan.plan()
    assert [s.request.request_id for s in plan.running] == ["a", "b"]
    for _ in range(8):
        step(plan)
    assert plan.preemptions == 0


def test_a_better_priority_is_admitted_first() -> None:
    """Whoever came before it, as soon as a place is free."""
    s = scheduler(max_running=1)
    first = add(s, "first", distinct(1, 10))
    step(s)
    add(s, "worse", distinct(2, 10), priority=1)
    add(s, "better", distinct(3, 10), priority=-1)
    s.end(first)
    assert sizes(step(s)) == {"better": 10}


def test_the_worst_priority_is_preempted_and_comes_back_before_its_equals() -> None:
    """Though others are younger; among equals the youngest goes."""
    s = scheduler(max_running=3)
    running = [add(s, f"{at}", distinct(at, 10), priority=p) for at, p in enumerate((0, 1, 0))]
    step(s)
    add(s, "waiting", distinct(7, 10), priority=1)
    s.preempt()
    assert s.running == [running[0], running[2]]
    assert next(iter(s.waiting)) is running[1]
    s.preempt()
    assert s.running == running[:1]
    assert [x.request.request_id for x in s.waiting] == ["2", "1", "waiting"]
