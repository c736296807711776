"""Tests of `tricorn.manager.access.turnstile`, on a pool that a test plays."""

from __future__ import annotations

from typing import Any, cast

import pytest
from tests.access.clock import Clock

from tricorn.access.admission import Admission
from tricorn.access.rate import Rate
from tricorn.access.terms import Allowance
from tricorn.engines.spec import EngineCapabilities, LoadedModel
from tricorn.errors import ModelNotFound, RateLimitExceeded, from_info
from tricorn.manager.access.turnstile import Turnstile
from tricorn.manager.access.usage_ledger import UsageLedger
from tricorn.manager.pool.pool import Pool
from tricorn.manager.protocol.calls import Acquire, Claim, Granted, Progress, Refused, Release


class PlayedPool:
    """Notes what it is asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, float]] = []
        self.done: list[tuple[str, int]] = []

    def acquire(self, holder: Any, call: int, model: str, request_id: str, **said: Any) -> None:
        self.asked.append((call, said["weight"]))

    def withdraw(self, holder: Any, call: int) -> None:
        self.done.append(("withdraw", call))

    def release(self, holder: Any, lease: int, *, lost: bool = False) -> None:
        self.done.append(("release", lease))

    def drop(self, holder: Any) -> None:
        self.done.append(("drop", 0))


class NotedLedger(UsageLedger):
    def __init__(self) -> None:
        super().__init__()
        self.added: list[tuple[Any, ...]] = []

    def add(self, *counts: Any) -> None:
        self.added.append(counts)


class Scene:
    """One gateway at the turnstile."""

    def __init__(self, admission: Admission | None = None) -> None:
        self.pool, self.ledger = PlayedPool(), NotedLedger()
        self.admission = admission or Admission(Clock(), Clock())
        self.answers: list[Any] = []
        self.gate = Turnstile(
            cast(Pool, self.pool), self.admission, self.ledger, self.answers.append
        )

    def acquire(self, call: int, *, reserve: int = 0, again: bool = False, **allowed: Any) -> None:
        claim = Claim("k", Allowance(**allowed), reserve, again)
        self.gate.acquire(Acquire(call, "alias", "r", "k", claim=claim))

    def grant(self, call: int) -> Granted:
        """Its lease is numbered as the call, and a hundred."""
        model = LoadedModel(1, 1, 1, EngineCapabilities())
        self.gate.answer(Granted(call, call + 100, "", "", "alias", model, served="m"))
        return cast(Granted, self.answers[-1])

    def rate(self) -> Rate:
        rate = self.admission.rate("k")
        assert rate is not None
        return rate


def test_a_request_from_end_to_end() -> None:
    """Admitted, granted with what is left, settled, and counted by the model's own name."""
    scene = Scene()
    scene.acquire(1, reserve=50, tokens_per_minute=100, requests_per_minute=10, weight=2.5)
    assert scene.pool.asked == [(1, 2.5)]
    scene.gate.answer(Progress(1, "loading"))
    granted = scene.grant(1)
    assert granted.rate is not None
    assert (granted.rate.remaining_requests, granted.rate.remaining_tokens) == (9, 50)
    scene.gate.release(Release(101, prompt_tokens=7, completion_tokens=3))
    assert scene.rate().remaining_tokens == 90
    assert scene.ledger.added == [("k", "m", 1, 7, 3)]
    scene.gate.release(Release(101, prompt_tokens=7, completion_tokens=3))
    assert len(scene.ledger.added) == 1


def test_refused_at_the_turnstile() -> None:
    """The pool hears nothing of it; the gateway, how far the limits are used up."""
    scene = Scene()
    scene.acquire(1, requests_per_minute=1)
    scene.acquire(2, requests_per_minute=1)
    refused = scene.answers[-1]
    assert isinstance(refused, Refused)
    assert refused.call == 2
    error = from_info(refused.error)
    assert isinstance(error, RateLimitExceeded)
    assert error.rate == Rate(1, 0, 60.0)
    assert scene.pool.asked == [(1, 1.0)]
    scene.gate.withdraw(2)


@pytest.mark.parametrize("how", ["refused", "withdrawn", "withdrawn with a lease", "dropped"])
def test_what_comes_to_nothing_gives_back(how: str) -> None:
    """Its tokens and its place; nothing is counted."""
    scene = Scene()
    limits = {"tokens_per_minute": 100, "concurrent_requests": 1}
    scene.acquire(1, reserve=50, **limits)
    match how:
        case "refused":
            scene.gate.answer(Refused(1, ModelNotFound("no").info()))
            assert isinstance(scene.answers[-1], Refused)
        case "withdrawn":
            scene.gate.withdraw(1)
        case "withdrawn with a lease":
            scene.grant(1)
            scene.gate.withdraw(1)
            scene.gate.release(Release(101))
        case _:
            scene.gate.drop()
    assert scene.rate().remaining_tokens == 100
    assert scene.ledger.added == []
    scene.acquire(2, reserve=50, **limits)
    assert [call for call, _ in scene.pool.asked] == [1, 2]


def test_a_gateway_that_dies() -> None:
    """What its leases had reserved counts as used: it will not be told any more."""
    scene = Scene()
    scene.acquire(1, reserve=50, tokens_per_minute=100)
    scene.grant(1)
    scene.gate.drop()
    assert scene.rate().remaining_tokens == 50
    assert scene.ledger.added == [("k", "m", 1, 50, 0)]


def test_a_lost_engine() -> None:
    """The second try is the same request; that of the first gave nothing."""
    scene = Scene()
    limits = {"requests_per_minute": 1, "tokens_per_minute": 100}
    scene.acquire(1, reserve=100, **limits)
    scene.grant(1)
    scene.gate.release(Release(101, lost=True))
    scene.acquire(2, reserve=100, again=True, **limits)
    scene.grant(2)
    scene.gate.release(Release(102, prompt_tokens=1))
    assert scene.ledger.added == [("k", "m", 1, 1, 0)]


def test_an_engine_that_is_lost_on_its_way() -> None:
    """What has been given counts, as one request: there is no second try."""
    scene = Scene()
    scene.acquire(1)
    scene.grant(1)
    scene.gate.release(Release(101, lost=True, prompt_tokens=5, completion_tokens=2))
    assert scene.ledger.added == [("k", "m", 1, 5, 2)]


def test_limits_are_those_of_all_gateways_together() -> None:
    """One admission for two connections."""
    one = Scene()
    other = Scene(one.admission)
    one.acquire(1, requests_per_minute=1)
    other.acquire(1, requests_per_minute=1)
    assert isinstance(other.answers[-1], Refused)


def test_nobody_in_particular() -> None:
    """Is not limited, and counted under no key."""
    scene = Scene()
    for call in range(3):
        scene.gate.acquire(Acquire(call, "m", "r", "127.0.0.1"))
        assert scene.grant(call).rate is None
    scene.gate.release(Release(100, prompt_tokens=1))
    scene.gate.drop()
    assert scene.ledger.added == [("", "m", 1, 1, 0)]
