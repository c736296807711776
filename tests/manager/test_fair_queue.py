"""Turns between keys, order within one, and taking out of the middle."""

import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tricorn.manager.pool.fair_queue import FairQueue

WEIGHTS = st.sampled_from([0.1, 0.25, 0.5, 1.0, 1.5, 2.0, 5.0])


def filled(**lengths: int) -> FairQueue[str]:
    queue: FairQueue[str] = FairQueue()
    for key, length in lengths.items():
        for number in range(length):
            queue.push(f"{key}{number}", key)
    return queue


def popped(queue: FairQueue[str]) -> list[str]:
    items = []
    while (item := queue.pop()) is not None:
        items.append(item)
    return items


def test_keys_take_turns_whoever_asks_most() -> None:
    assert popped(filled(a=4, b=1, c=2)) == ["a0", "b0", "c0", "a1", "c1", "a2", "a3"]


def test_it_gives_the_oldest_first_over_all_keys() -> None:
    queue = filled(a=2, b=1)
    queue.push("a2", "a")
    assert list(queue) == ["a0", "a1", "b0", "a2"]
    assert queue.oldest() == "a0"
    assert [queue.pop(), queue.pop()] == ["a0", "b0"]
    assert list(queue) == ["a1", "a2"]


def test_an_empty_one() -> None:
    queue: FairQueue[str] = FairQueue()
    assert (queue.pop(), queue.peek(), queue.oldest(), list(queue), len(queue)) == (
        None,
        None,
        None,
        [],
        0,
    )
    assert not queue.remove("a")


def test_a_weight_is_so_many_turns() -> None:
    queue: FairQueue[str] = FairQueue()
    for number in range(3):
        queue.push(f"a{number}", "a", weight=2)
        queue.push(f"b{number}", "b", weight=0.5)
    assert popped(queue) == ["a0", "a1", "a2", "b0", "b1", "b2"]
    for number in range(5):
        queue.push(f"a{number}", "a", weight=2)
        queue.push(f"b{number}", "b")
    assert popped(queue)[:6] == ["a0", "a1", "b0", "a2", "a3", "b1"]


def test_the_newest_weight_of_a_key_counts() -> None:
    queue = filled(a=3, b=3)
    queue.push("a3", "a", weight=3)
    assert popped(queue)[:4] == ["a0", "a1", "a2", "b0"]


def test_what_costs_more_waits_for_more_turns() -> None:
    queue: FairQueue[str] = FairQueue()
    queue.push("a0", "a", cost=3)
    for number in range(4):
        queue.push(f"b{number}", "b")
    assert popped(queue) == ["b0", "b1", "a0", "b2", "b3"]


def test_a_key_that_comes_back_starts_at_the_end_without_savings() -> None:
    queue: FairQueue[str] = FairQueue()
    queue.push("a0", "a", weight=5)  # pays for five, and takes one
    assert queue.pop() == "a0"
    for key in "bca":
        for number in range(2):
            queue.push(f"{key}{number}", key, weight=1)
    assert popped(queue) == ["b0", "c0", "a0", "b1", "c1", "a1"]


def test_it_refuses_what_makes_no_sense() -> None:
    queue = filled(a=1)
    with pytest.raises(ValueError, match="waits already"):
        queue.push("a0", "b")
    for weight, cost in ((0, 1), (-1, 1), (math.nan, 1), (1, 0)):
        with pytest.raises(ValueError, match="over 0"):
            queue.push("a1", "a", weight=weight, cost=cost)
    assert list(queue) == ["a0"]


@given(st.lists(WEIGHTS, min_size=2, max_size=6), st.integers(1, 200))
def test_shares_are_as_the_weights_while_all_keys_wait(weights: list[float], pops: int) -> None:
    queue: FairQueue[tuple[int, int]] = FairQueue()
    for key, weight in enumerate(weights):
        for number in range(pops + 1):
            queue.push((key, number), str(key), weight=weight)
    served = Counter(item[0] for item in (queue.pop() for _ in range(pops)) if item)
    for one, weight in enumerate(weights):
        for other, other_weight in enumerate(weights):
            apart = served[one] / weight - served[other] / other_weight
            # A round's own order, and what each is short of for a whole item.
            assert apart <= 1 + 1 / weight + 1 / other_weight + 1e-6


@given(st.lists(st.tuples(WEIGHTS, st.integers(1, 5)), min_size=1, max_size=6), st.data())
def test_no_key_starves_whatever_the_others_do(
    keys: list[tuple[float, int]], data: st.DataObject
) -> None:
    """A key's head is served after as many rounds as its cost takes, though others go on coming."""
    queue: FairQueue[tuple[int, int]] = FairQueue()
    for key, (weight, cost) in enumerate(keys):
        queue.push((key, 0), str(key), weight=weight, cost=cost)
    watched = data.draw(st.integers(0, len(keys) - 1))
    weight, cost = keys[watched]
    rounds = math.ceil(cost / weight)
    others = sum(
        math.ceil(rounds * weight / cost) + 1
        for key, (weight, cost) in enumerate(keys)
        if key != watched
    )
    for count in range(others + 1):
        item = queue.pop()
        assert item is not None
        if item[0] == watched:
            return
        key, (weight, cost) = item[0], keys[item[0]]
        # It asks again before it is idle, so it keeps its credit: the worst that it can do.
        queue.push((key, item[1] + 1), str(key), weight=weight, cost=cost)
        assert count < others


class AgainstPlainLists(RuleBasedStateMachine):
    """Any order of calls; what waits is also kept as plain lists."""

    def __init__(self) -> None:
        super().__init__()
        self.queue: FairQueue[int] = FairQueue()
        self.waiting: list[tuple[int, str]] = []
        self.number = 0

    @rule(key=st.sampled_from("abcd"), weight=WEIGHTS, cost=st.sampled_from([0.5, 1.0, 3.0]))
    def push(self, key: str, weight: float, cost: float) -> None:
        self.number += 1
        self.queue.push(self.number, key, weight=weight, cost=cost)
        self.waiting.append((self.number, key))

    @rule()
    def pop(self) -> None:
        expected = self.queue.peek()
        item = self.queue.pop()
        assert item == expected
        assert (item is None) == (not self.waiting)
        if item is None:
            return
        at, key = next((i, key) for i, (number, key) in enumerate(self.waiting) if number == item)
        assert next(number for number, other in self.waiting if other == key) == item
        del self.waiting[at]

    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        number = data.draw(st.integers(1, self.number + 1))
        there = [entry for entry in self.waiting if entry[0] == number]
        assert self.queue.remove(number) == bool(there)
        if there:
            self.waiting.remove(there[0])

    @invariant()
    def same(self) -> None:
        numbers = [number for number, _ in self.waiting]
        assert list(self.queue) == numbers
        assert len(self.queue) == len(numbers)
        assert self.queue.oldest() == (numbers[0] if numbers else None)
        assert all(number in self.queue for number in numbers)


TestAgainstPlainLists = AgainstPlainLists.TestCase
