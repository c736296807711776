"""Who waits, in which order; and who gives a place back."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from tricorn.engines.request import GenerateRequest, SamplingParams
from tricorn.engines.waiting import WaitingLine, first_to_yield


@dataclass(eq=False)
class One:
    request: GenerateRequest


def one(name: str, priority: int = 0) -> One:
    return One(GenerateRequest(name, [1], SamplingParams(), priority=priority))


def names(line: WaitingLine[One]) -> str:
    return "".join(waiting.request.request_id for waiting in line)


def line(*waiting: One) -> WaitingLine[One]:
    made: WaitingLine[One] = WaitingLine()
    for sequence in waiting:
        made.append(sequence)
    return made


def test_equals_stand_in_the_order_they_came() -> None:
    """Taken out from the front, one by one."""
    it = line(one("a"), one("b"), one("c"))
    assert (len(it), names(it)) == (3, "abc")
    assert [it.pop().request.request_id for _ in range(3)] == ["a", "b", "c"]
    assert not it
    with pytest.raises(IndexError):
        it.pop()


def test_a_better_priority_stands_before_all_of_a_worse_one() -> None:
    """Lower is better, negative ones too, whenever they came."""
    assert names(line(one("a"), one("b", 5), one("c", -1), one("d"), one("e", -1))) == "ceadb"


def test_who_is_put_back_stands_before_its_equals() -> None:
    """But behind better ones; several keep their order."""
    it = line(one("a"), one("b", 1), one("c", -1))
    it.put_back([one("x"), one("y", 1), one("z")])
    assert names(it) == "cxzayb"
    assert len(it) == 6


def test_anyone_can_leave() -> None:
    """Wherever it stands; who is not there is an error."""
    worst, middle = one("w", 9), one("m")
    it = line(one("a"), middle, worst, one("b"))
    it.remove(middle)
    it.remove(worst)
    assert (len(it), names(it)) == (2, "ab")
    for stranger in (middle, worst):
        with pytest.raises(ValueError, match="not in deque"):
            it.remove(stranger)
    assert len(it) == 2


def test_the_worst_priority_yields_and_of_those_the_youngest() -> None:
    """Not simply who came last."""
    running = [one("a"), one("b", 1), one("c", 1), one("d")]
    assert first_to_yield(running).request.request_id == "c"
    assert first_to_yield(running[:1]).request.request_id == "a"
