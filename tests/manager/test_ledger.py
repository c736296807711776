"""Tests of `tricorn.manager.memory.ledger` and `tricorn.manager.memory.available`."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from tests.hardware.machines import machine, write

from tricorn.hardware import facts, memory
from tricorn.manager.memory import available
from tricorn.manager.memory.available import FRESH_S, Available
from tricorn.manager.memory.ledger import Ledger, Needs, cuda, short_of

GIB = 1 << 30


def test_reserve_settle_release() -> None:
    """What is reserved is not promised again; what was measured takes its place; all comes back."""
    ledger = Ledger({"main": 100, "cuda:0": 50})
    ledger.reserve("a", {"main": 60, "cuda:0": 50})
    assert ledger.free() == {"main": 40, "cuda:0": 0}
    assert ledger.is_loading()
    ledger.settle("a", {"main": 70})
    assert ledger.held("a") == {"main": 70, "cuda:0": 50}, "a place not measured keeps its reserve"
    assert ledger.free() == {"main": 30, "cuda:0": 0}
    assert not ledger.is_loading()
    ledger.release("a")
    assert ledger.free() == ledger.budget() == {"main": 100, "cuda:0": 50}
    assert ledger.held("a") == {}


def test_what_spare_processes_have() -> None:
    """It counts as free, and no more is lent than replicas leave."""
    ledger = Ledger({"main": 100, "cuda:0": 50})
    ledger.lend("s", {"main": 40})
    assert ledger.free() == ledger.budget()
    assert ledger.can_lend({"main": 60})
    assert not ledger.can_lend({"main": 61})
    ledger.reserve("a", {"main": 60, "cuda:0": 60})
    assert not ledger.has_lent_too_much()
    ledger.reserve("b", {"main": 1})
    assert ledger.has_lent_too_much()
    ledger.take_back("s")
    assert not ledger.has_lent_too_much()
    assert ledger.lent() == {}


def test_what_spare_processes_have_of_the_machine() -> None:
    """It comes back, once it is known to be taken; in a load nobody knows what that has taken."""
    free = {"main": 100}
    ledger = Ledger({"main": 1000}, lambda: free)
    ledger.lend("s", {"main": 40})
    assert ledger.free() == ledger.capacity() == {"main": 100}
    free = {"main": 70}
    ledger.lend("s", {"main": 30}, measured=True)
    assert ledger.free() == ledger.capacity() == {"main": 100}
    assert not ledger.can_lend({"main": 71})
    ledger.reserve("a", {"main": 71})
    assert ledger.has_lent_too_much(starting=True)
    assert not ledger.has_lent_too_much()
    free = {"main": -1}
    ledger.settle("a", {})
    assert ledger.has_lent_too_much()


def test_what_is_gone_is_not_settled() -> None:
    """A measurement that comes too late holds nothing."""
    ledger = Ledger({"main": 100})
    ledger.reserve("a", {"main": 60})
    ledger.release("a")
    ledger.settle("a", {"main": 70})
    ledger.release("a")
    assert ledger.free() == {"main": 100}
    assert not ledger.is_loading()


def test_more_measured_than_there_is() -> None:
    """Less than nothing is free then, and what has no bound is not listed."""
    ledger = Ledger({"main": 100})
    ledger.reserve("a", {"main": 60, "cuda:0": 10})
    ledger.settle("a", {"main": 120})
    assert ledger.free() == {"main": -20}
    assert ledger.held("a") == {"main": 120, "cuda:0": 10}


def test_never_more_than_the_machine_has() -> None:
    """Other programs take memory too; what loading replicas will take of the rest is theirs."""
    free = {"main": 80}
    ledger = Ledger({"main": 100}, lambda: free)
    assert ledger.free() == {"main": 80}
    ledger.reserve("a", {"main": 30})
    assert ledger.free() == {"main": 50}
    assert ledger.unheld() == {"main": 70}
    free["main"] = 50
    ledger.settle("a", {"main": 30})
    assert ledger.free() == {"main": 50}
    assert ledger.capacity() == {"main": 80}, "with the replica unloaded"


def test_another_budget() -> None:
    """What is held stays held."""
    ledger = Ledger({"main": 100})
    ledger.reserve("a", {"main": 60})
    ledger.set_budget({"main": 50})
    assert ledger.free() == {"main": -10}
    assert ledger.capacity() == ledger.budget() == {"main": 50}


def test_places_that_only_one_side_knows() -> None:
    """Not bounded, and not watched."""
    ledger = Ledger({"main": 100}, lambda: {"cuda:0": 5})
    assert ledger.free() == ledger.capacity() == {"main": 100}


def test_short_of() -> None:
    """Only what is missing, where it is bounded."""
    assert short_of({"main": 5, cuda(0): 9, cuda(1): 1}, {"main": 5, "cuda:0": 7}) == {
        "cuda:0": 9 - 7
    }
    assert short_of({}, {"main": -1}) == {}


Sizes = st.integers(0, 100)


@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(["load", "ready", "gone"]), st.sampled_from("abcd"), Sizes, Sizes
        ),
        max_size=40,
    ),
    others=Sizes,
)
def test_two_loads_never_get_the_same_bytes(
    steps: list[tuple[str, str, int, int]], others: int
) -> None:
    """Whoever reserves only what is free never brings the machine or the budget to its end, as long
    as nothing takes more than it said; however far the loads have come."""
    total, budget = 200, 150
    taken: dict[str, int] = {}
    loading: dict[str, int] = {}

    def available() -> Needs:
        return {"main": total - others - sum(taken.values())}

    ledger = Ledger({"main": budget}, available)
    for step, name, size, part in steps:
        if step == "load" and name not in taken and size <= ledger.free()["main"]:
            ledger.reserve(name, {"main": size})
            loading[name], taken[name] = size, min(size, part)
        elif step == "ready" and name in loading:
            taken[name] = loading.pop(name)
            ledger.settle(name, {"main": taken[name]})
        elif step == "gone" and name in taken:
            del taken[name]
            loading.pop(name, None)
            ledger.release(name)
        promised = sum({**taken, **loading}.values())
        assert promised <= min(budget, total - others)


# --- what is free -------------------------------------------------------------------------------


def test_readings_are_kept_for_a_moment() -> None:
    """One a second, unless a fresh one is asked for."""
    now, readings = [0.0], [0]

    def read() -> Needs:
        readings[0] += 1
        return {"main": readings[0]}

    free = Available(read, lambda: now[0])
    assert [free(), free()] == [{"main": 1}, {"main": 1}]
    now[0] += FRESH_S
    assert free() == {"main": 2}
    assert free.fresh() == free() == {"main": 3}


def test_this_machine() -> None:
    """It has something free, and no more than there is."""
    found = available.of_machine(facts.cpu_and_memory())()
    total = facts.cpu_and_memory().memory_total
    assert total is not None
    assert 0 < found["main"] <= total


MEMINFO = "MemTotal: 1000 kB\nMemAvailable: 600 kB\nMapped: 250 kB\nShmem: 50 kB\n"


def test_mapped_files_are_in_use(tmp_path: Path) -> None:
    """Linux calls them available, but they hold the weights of running models."""
    root = write(tmp_path, {"proc/meminfo": MEMINFO})
    assert memory.free_now(machine("linux", root)) == 400 * 1024
    assert memory.free_now(machine("linux")) is None


def test_a_container_has_what_its_limit_leaves(tmp_path: Path) -> None:
    """Files that are cached and not mapped make way; in both versions of cgroups."""
    second = {
        "proc/meminfo": MEMINFO,
        "proc/self/cgroup": "0::/a",
        "sys/fs/cgroup/a/memory.max": "200000",
        "sys/fs/cgroup/a/memory.current": "150000",
        "sys/fs/cgroup/a/memory.stat": (
            "anon 90000\nfile_mapped 20000\nactive_file 40000\ninactive_file 10000"
        ),
    }
    root = write(tmp_path / "second", second)
    assert memory.free_now(machine("linux", root)) == 200000 - 150000 + 30000
    first = {
        "proc/meminfo": MEMINFO,
        "proc/self/cgroup": "4:memory:/a",
        "sys/fs/cgroup/memory/a/memory.limit_in_bytes": "200000",
        "sys/fs/cgroup/memory/a/memory.usage_in_bytes": "150000",
        "sys/fs/cgroup/memory/a/memory.stat": (
            "mapped_file 1\ntotal_mapped_file 5000\n"
            "total_active_file 5000\ntotal_inactive_file 7000"
        ),
        "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712",
        "sys/fs/cgroup/memory/memory.usage_in_bytes": "150000",
    }
    root = write(tmp_path / "first", first)
    assert memory.free_now(machine("linux", root)) == 200000 - 150000 + 7000
    unlimited = second | {"sys/fs/cgroup/a/memory.max": "max"}
    assert memory.free_now(machine("linux", write(tmp_path / "none", unlimited))) == 400 * 1024
