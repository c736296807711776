"""Which of a model's replicas gets a request. Pure, but for what it remembers.

A conversation goes to the replica that has its beginning in its cache, unless that one has so much
more to do than another that waiting there would cost more than reading the beginning anew.
"""

from __future__ import annotations

import itertools
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

LINKS_KEPT = 32_768
"""Beginnings that are remembered, the newest used: some thousand conversations, less than 10 MB."""

SLACK_SHARE = 0.375
SLACK_MOST = 32.0
"""How much more one replica may have to do than another before that counts as out of balance, in
requests: that share of the leases that one may have, up to so many. Leases are about twice what an
engine serves at once: a request that goes where its beginning is known still finds a place in the
batch while others are idle. With more than 32 the batch itself becomes noticeably slower."""

IMBALANCE_RATIO = 1.5
"""The other half of the guard: the busiest must have so many times as much to do as the idlest.
With much to do everywhere, a smaller difference changes no one's wait noticeably."""

AFFINITY = 3.0
"""What the longest known beginning is worth, in slacks. Three, so that a first follow-up turn, half
of whose known beginning (the system prompt) may lie on every replica, outweighs any difference in
load within the slack, and a little more where the ratio lets it."""

WAITING_WEIGHT = 1.0
"""A request that waits inside an engine counts this much more than one that runs: that engine has
no room left."""

KV_WEIGHT = 1.0
"""A full KV cache counts as so many slacks: the engine will have to set requests aside soon."""


@dataclass(frozen=True)
class Candidate:
    """A ready replica as the manager sees it now."""

    name: str
    leases: int
    running: int
    """This and what follows: by the engine's own last report, which may be a second old."""
    waiting: int
    kv_used: float
    """0 to 1."""
    capacity: int
    """Leases that it may have."""

    def load(self) -> float:
        """What it has to do, in requests."""
        # Reports are late and leases are not; but a lease may be several sequences.
        requests = max(self.leases, self.running + self.waiting)
        pressed = (
            KV_WEIGHT * slack(self.capacity) * self.kv_used**2
        )  # little until it is nearly full
        return requests + WAITING_WEIGHT * self.waiting + pressed


def slack(capacity: int) -> float:
    """By how many requests replicas may differ."""
    return min(SLACK_MOST, SLACK_SHARE * capacity)


class Router:
    """For the replicas of one model."""

    def __init__(self, links_kept: int = LINKS_KEPT) -> None:
        self._links_kept = links_kept
        self._holders: OrderedDict[int, tuple[str, ...]] = OrderedDict()
        """By the hash of a beginning: who has read it, the newest last."""
        self._turns = itertools.count(1)
        self._last_turn: dict[str, int] = {}

    def choose(self, candidates: Sequence[Candidate], prefix: Sequence[int]) -> str | None:
        """The name of the best one; None where each has as many leases as it may have.

        prefix: hashes of the conversation's beginnings, the shortest first; empty: unknown.
        """
        loads = {one.name: one.load() for one in candidates}
        free = [one for one in candidates if one.leases < one.capacity]
        if not free:
            return None
        least, most = min(loads[one.name] for one in free), max(loads.values())
        room = slack(max(one.capacity for one in candidates))
        worth: dict[str, float] = {}
        if most - least <= room or most <= IMBALANCE_RATIO * least:
            known = self._known(free, prefix)
            longest = max(known.values(), default=1)
            worth = {name: AFFINITY * room * links / longest for name, links in known.items()}
        return min(
            free,
            key=lambda one: (
                loads[one.name] - worth.get(one.name, 0.0),
                self._last_turn.get(one.name, 0),
            ),
        ).name

    def note(self, name: str, prefix: Sequence[int]) -> None:
        """`name` has got a request that begins so."""
        self._last_turn[name] = next(self._turns)
        # The shortest last: longer ones are of no use without it, so they are forgotten first.
        for link in reversed(prefix):
            others = self._holders.pop(link, ())
            self._holders[link] = (*(one for one in others if one != name), name)
        while len(self._holders) > self._links_kept:
            self._holders.popitem(last=False)

    def forget(self, name: str) -> None:
        """That replica is gone, or its cache is."""
        self._last_turn.pop(name, None)
        for link, names in list(self._holders.items()):
            if name in names:
                left = tuple(one for one in names if one != name)
                if left:
                    self._holders[link] = left
                else:
                    del self._holders[link]

    def _known(self, candidates: Sequence[Candidate], prefix: Sequence[int]) -> dict[str, int]:
        """How many links of `prefix` each has read, where any."""
        sought = {one.name for one in candidates}
        known: dict[str, int] = {}
        for links in range(len(prefix), 0, -1):
            for name in self._holders.get(prefix[links - 1], ()):
                if name in sought:
                    sought.discard(name)
                    known[name] = links
            if not sought:
                break
        return known
