"""What must hold whatever happens: random lives of a pool, in virtual time."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import event, given, settings
from hypothesis import strategies as st
from tests.manager import virtual_time
from tests.manager.harness import Client
from tests.manager.simulation import Plan, World

from tricorn.errors import Conflict
from tricorn.manager.pool.bounds import Bounds, Limits
from tricorn.manager.protocol.calls import Granted

MODELS = ("a", "b", "c", "d")
LONGEST_S = 2000.0
"""Everything is over by then: waits are bounded by 300 s, and failures by their back-off."""

ACTIONS = st.one_of(
    st.tuples(st.just("ask"), st.sampled_from(MODELS), st.sampled_from(["", "x", "y"])),
    st.tuples(st.just("ask"), st.sampled_from(MODELS), st.sampled_from(["", "x", "y"])),
    st.tuples(st.just("give back"), st.integers(0, 9)),
    st.tuples(st.just("give back"), st.integers(0, 9)),
    st.tuples(st.just("withdraw"), st.integers(0, 9)),
    st.tuples(st.just("crash"), st.integers(0, 9)),
    st.tuples(st.just("crash a spare"), st.integers(0, 9)),
    st.tuples(st.just("lost"), st.integers(0, 9)),
    st.tuples(st.just("break"), st.sampled_from(MODELS), st.booleans()),
    st.tuples(st.just("unload"), st.sampled_from(MODELS), st.booleans()),
    st.tuples(st.just("drop"), st.just(0)),
    st.tuples(st.just("sleep"), st.sampled_from([0.005, 0.5, 2.0, 20.0])),
    st.tuples(st.just("sleep"), st.sampled_from([0.005, 0.5, 2.0, 20.0])),
)
WORLDS = st.builds(
    World,
    plans=st.fixed_dictionaries(
        {
            name: st.builds(
                Plan,
                memory=st.integers(1, 12),
                load_s=st.sampled_from([0.1, 1.0, 8.0]),
                stop_s=st.sampled_from([0.0, 1.0]),
                parks=st.booleans(),
            )
            for name in MODELS
        }
    ),
    budget=st.integers(4, 30),
    pinned=st.sampled_from([frozenset(), frozenset("a")]),
    replicas_each=st.sampled_from([1, 1, 2]),
    spares=st.sampled_from([0, 1, 2]),
    limits=st.builds(
        Limits,
        max_waiting=st.sampled_from([2, 100]),
        max_wait_s=st.just(300.0),
        max_requests=st.sampled_from([None, None, 2]),
    ),
    bounds=st.builds(
        Bounds,
        max_models=st.sampled_from([1, 2, 1000]),
        max_parked=st.integers(0, 2),
        max_swap_wait_s=st.sampled_from([0.0, 5.0]),
    ),
)


class Life:
    """A client and what it has asked for."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.clients = [world.client()]
        self.asked: list[tuple[Client, int]] = []
        """Calls that must be answered."""
        self.leases: list[tuple[Client, Granted]] = []
        self.cut = False
        """Somebody has asked to unload by force."""

    def act(self, name: str, *how: Any) -> None:
        pool = self.world.pool
        client = self.clients[-1]
        match name, how:
            case "ask", (model, key):
                self.asked.append((client, client.ask(model, key=key)))
            case "give back" | "lost", (index,) if self.leases:
                holder, lease = self.leases.pop(index % len(self.leases))
                holder.give_back(lease, lost=name == "lost")
            case "withdraw", (index,) if self.asked:
                holder, call = self.asked.pop(index % len(self.asked))
                pool.withdraw(holder, call)
            case "crash", (index,) if self.world.alive:
                list(self.world.alive.values())[index % len(self.world.alive)].kill()
            case "crash a spare", (index,) if self.world.waiting:
                list(self.world.waiting.values())[index % len(self.world.waiting)].kill()
            case "break", (model, broken):
                self.world.plans[model].fails_to_load = broken
            case "unload", (model, force):
                self.cut |= force
                try:
                    pool.unload(model, force=force)
                except Conflict:
                    assert model in self.world.pinned
            case "drop", _:
                pool.drop(client)
                self.asked = [one for one in self.asked if one[0] is not client]
                self.leases = [one for one in self.leases if one[0] is not client]
                self.clients.append(self.world.client())

    def collect(self) -> None:
        """Note the leases that have been granted; refusals are answers too."""
        still = []
        for client, call in self.asked:
            answer = client.answers[call]
            if not answer.done():
                still.append((client, call))
            elif isinstance(answer.result(), Granted):
                self.leases.append((client, answer.result()))
        self.asked = still


def check(life: Life) -> None:
    world = life.world
    assert world.most_held <= world.budget
    assert life.cut or not world.stopped_in_use
    assert world.pool.lease_count() == sum(one.leases for one in world.replicas.values())


async def lived(world: World, actions: list[tuple[Any, ...]]) -> None:
    world.open()
    life = Life(world)
    for name, *how in actions:
        if name == "sleep":
            await asyncio.sleep(how[0])
        else:
            life.act(name, *how)
        await asyncio.sleep(0)
        life.collect()
        check(life)
    for plan in world.plans.values():
        plan.fails_to_load = False
    loop = asyncio.get_running_loop()
    event(f"{min(len(life.asked), 5)} waiting at the end")
    while life.asked or life.leases:  # each is served or refused once the others are done
        assert loop.time() < LONGEST_S, "somebody waits for ever"
        for client, lease in life.leases:
            client.give_back(lease)
        life.leases.clear()
        await asyncio.sleep(1.0)
        life.collect()
        check(life)
    assert world.pool.lease_count() == 0
    event(f"{world.spares_taken} loads by spare workers")
    await asyncio.sleep(10.0)  # the last crash is noticed
    # Everything can still be served, as far as it fits at all.
    pinned = world.replicas_each * sum(world.plans[name].memory for name in world.pinned)
    for name in MODELS:
        world.pool.retry(name)
        beside = 0 if name in world.pinned else pinned
        if world.plans[name].memory + beside <= world.budget and not (
            world.pinned and world.bounds.max_models == 1 and name not in world.pinned
        ):
            client = world.client()
            call = client.ask(name)
            answer = await asyncio.wait_for(client.answers[call], 400.0)
            assert isinstance(answer, Granted), answer
            client.give_back(answer)
            check(life)
    world.pool.close()
    world.spare_workers.close()
    await world.pool.stop()
    await world.spare_workers.ended()
    assert not world.alive
    assert not world.waiting


@settings(deadline=None, max_examples=200)
@given(WORLDS, st.lists(ACTIONS, max_size=40))
def test_whatever_happens(world: World, actions: list[tuple[Any, ...]]) -> None:
    """The budget is never exceeded, no replica ends under its leases, every call is answered, and
    in the end everything can be served."""
    virtual_time.run(lived(world, actions))
