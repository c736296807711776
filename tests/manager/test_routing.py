"""Which replica gets a request: tables, and many users' conversations over four replicas."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from tricorn.manager.pool.routing import Candidate, Router


def replica(
    name: str,
    leases: int = 0,
    *,
    running: int = 0,
    waiting: int = 0,
    kv_used: float = 0.0,
    capacity: int = 8,
) -> Candidate:
    return Candidate(name, leases, running, waiting, kv_used, capacity)


@pytest.mark.parametrize(
    ("candidates", "chosen"),
    [
        ([], None),
        ([replica("a", 8), replica("b", 8)], None),
        ([replica("a", 8), replica("b", 7)], "b"),
        ([replica("a", 3), replica("b", 2)], "b"),
        # A lease may be several sequences, and others may have some of its engine.
        ([replica("a", 1, running=5), replica("b", 2, running=2)], "b"),
        # The same number, but those of one wait.
        ([replica("a", 4, running=2, waiting=2), replica("b", 4, running=4)], "b"),
        ([replica("a", 2, kv_used=0.98), replica("b", 3, kv_used=0.2)], "b"),
        ([replica("a", 2, kv_used=0.3), replica("b", 3, kv_used=0.2)], "a"),
    ],
)
def test_without_a_prefix_the_load_decides(candidates: list[Candidate], chosen: str | None) -> None:
    assert Router().choose(candidates, ()) == chosen


def test_ties_go_to_who_was_chosen_longest_ago() -> None:
    router = Router()
    names = []
    for _ in range(8):
        name = router.choose([replica("a"), replica("b"), replica("c")], ())
        assert name is not None
        router.note(name, ())
        names.append(name)
    assert names == ["a", "b", "c", "a", "b", "c", "a", "b"]


def noted(*prefixes: tuple[str, tuple[int, ...]]) -> Router:
    router = Router()
    for name, prefix in prefixes:
        router.note(name, prefix)
    return router


LEASES = 100
"""That a replica may have: the slack is 32 requests."""


@pytest.mark.parametrize(
    ("leases", "chosen"),
    [
        ((0, 0, 0), "b"),
        ((0, 32, 0), "b"),  # within the slack
        ((0, 33, 0), "a"),  # out of balance
        ((66, 99, 66), "b"),  # more than the slack, but not more than half as much again
        ((65, 99, 65), "a"),
        ((2, 0, 99), "b"),
        ((0, 2, 99), "a"),  # it is another that is too busy: to the idlest all the same
        ((70, 100, 70), "a"),  # full
    ],
)
def test_the_longest_known_beginning_wins_while_loads_are_in_balance(
    leases: tuple[int, int, int], chosen: str
) -> None:
    router = noted(("a", (1,)), ("c", (1,)), ("b", (1, 2)))
    candidates = [
        Candidate(name, count, count, 0, 0.0, LEASES)
        for name, count in zip("abc", leases, strict=True)
    ]
    assert router.choose(candidates, (1, 2, 3, 4)) == chosen


@pytest.mark.parametrize(("capacity", "within"), [(2, 0), (4, 1), (8, 3), (48, 18), (400, 32)])
def test_slack_grows_with_what_a_replica_may_have(capacity: int, within: int) -> None:
    """So that nobody waits for a place in a batch while another replica is idle."""
    router = noted(("b", (1,)))
    for leases, chosen in ((within, "b"), (within + 1, "a")):
        candidates = [replica("a", capacity=capacity), replica("b", leases, capacity=capacity)]
        assert router.choose(candidates, (1,)) == chosen


def test_among_those_that_know_the_same_the_load_decides() -> None:
    router = noted(("a", (1, 2)), ("b", (1, 3)))
    assert router.choose([replica("a", 2), replica("b", 1), replica("c")], (1, 4)) == "b"


def test_a_full_one_is_passed_over_though_it_knows_the_beginning() -> None:
    router = noted(("a", (1, 2)))
    candidates = [replica("a", 2, capacity=2), replica("b", 1, capacity=2)]
    assert router.choose(candidates, (1, 2)) == "b"


def test_a_replica_that_is_gone_is_forgotten() -> None:
    router = noted(("a", (1, 2)), ("b", (1,)))
    router.forget("a")
    # A new one of that name knows nothing, and was chosen longest ago.
    assert router.choose([replica("a"), replica("b", 1)], (1, 2)) == "b"
    router.forget("b")
    assert router.choose([replica("b", 1), replica("a")], (1, 2)) == "a"
    router.forget("never seen")


def test_only_the_newest_beginnings_are_remembered() -> None:
    router = Router(links_kept=4)
    router.note("a", (1, 2, 3))
    router.note("b", (1, 5))  # 3 goes, which nobody finds without 1 and 2
    assert router.choose([replica("a", 1), replica("b")], (1, 2, 9)) == "a"
    router.note("b", (6, 7, 8))
    assert router.choose([replica("a", 1), replica("b")], (1, 2, 9)) == "b"


@dataclass
class User:
    """Talks in turns: each turn's chain is the one before and two links more."""

    chain: list[int]
    turns: int = 0
    replica: str = ""
    ends_at: int = 0


@dataclass
class Simulation:
    """Users over four replicas; time in steps."""

    users: int
    links: Callable[[random.Random], int]
    """Of what a conversation starts with."""
    capacity: int = 16
    steps: int = 400
    followed: int = 0
    stayed: int = 0
    leases: Counter[str] = field(default_factory=Counter)
    granted: Counter[str] = field(default_factory=Counter)
    unevenness: int = 0

    def run(self) -> Simulation:
        chance, router, names = random.Random(7), Router(), ("r1", "r2", "r3", "r4")
        fresh = iter(range(10**6, 10**9))
        talking: list[User] = []
        idle = [self._new(chance) for _ in range(self.users)]
        for step in range(self.steps):
            for user in [one for one in talking if one.ends_at <= step]:
                talking.remove(user)
                self.leases[user.replica] -= 1
                over = user.turns >= 8
                idle.append(self._new(chance) if over else user)
            for user in [one for one in idle if chance.random() < 0.25]:
                user.chain += [next(fresh), next(fresh)] if user.turns else [next(fresh)]
                candidates = [
                    Candidate(name, self.leases[name], self.leases[name], 0, 0.0, self.capacity)
                    for name in names
                ]
                name = router.choose(candidates, user.chain)
                if name is None:
                    continue
                router.note(name, user.chain)
                if user.turns:
                    self.followed += 1
                    self.stayed += name == user.replica
                user.turns, user.replica = user.turns + 1, name
                user.ends_at = step + chance.randint(2, 12)
                self.leases[name] += 1
                self.granted[name] += 1
                idle.remove(user)
                talking.append(user)
            loads = [self.leases[name] for name in names]
            self.unevenness = max(self.unevenness, max(loads) - min(loads))
        return self

    def _new(self, chance: random.Random) -> User:
        return User([self.links(chance)])


def test_conversations_stay_where_they_are() -> None:
    """Everyone with another system prompt."""
    run = Simulation(32, lambda chance: chance.getrandbits(40)).run()
    assert run.followed > 500
    assert run.stayed / run.followed >= 0.9
    assert max(run.granted.values()) / sum(run.granted.values()) < 0.35
    assert run.unevenness <= 8  # the slack, and what ends by itself


def test_they_stay_though_all_share_a_system_prompt() -> None:
    run = Simulation(32, lambda chance: 1).run()
    assert run.stayed / run.followed >= 0.9
    assert max(run.granted.values()) / sum(run.granted.values()) < 0.35
    assert run.unevenness <= 8  # the slack, and what ends by itself


def test_a_beginning_that_all_share_is_spread() -> None:
    """No conversations: each request has the one hot prompt and a question of its own."""
    router, leases = Router(), Counter[str]()
    for question in range(100, 140):
        candidates = [replica(name, leases[name], capacity=32) for name in ("a", "b", "c", "d")]
        name = router.choose(candidates, (1, question))
        assert name is not None
        router.note(name, (1, question))
        leases[name] += 1
    assert sum(leases.values()) == 40
    assert max(leases.values()) <= 13  # the slack and one
    assert min(leases.values()) >= 7
