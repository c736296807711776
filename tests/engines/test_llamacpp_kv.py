"""Who holds which cells of the KV cache."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tricorn.engines.llamacpp.kv import KvCache, Slot
from tricorn.engines.llamacpp.parked import State

TOKEN_BYTES = 8


class RecordingMemory:
    """Keeps every call; a slot's state is its tokens, TOKEN_BYTES each."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.kv: KvCache | None = None
        self.restores = True

    def copy_prefix(self, source: int, target: int, length: int) -> None:
        self.calls.append(("copy", source, target, length))

    def truncate(self, slot: int, length: int) -> bool:
        self.calls.append(("truncate", slot, length))
        return True

    def state_size(self, slot: int) -> int:
        return self.save(slot).nbytes

    def save(self, slot: int) -> State:
        assert self.kv is not None
        return np.array(self.kv._slots[slot].tokens, dtype=np.int64).view(np.uint8)

    def restore(self, slot: int, state: State) -> bool:
        assert self.kv is not None
        assert self.kv._slots[slot].tokens == []
        assert self.kv.free_cells >= state.nbytes // TOKEN_BYTES
        self.calls.append(("restore", slot, state.view(np.int64).tolist()))
        return self.restores


def cache(
    cells: int = 32,
    slots: int = 4,
    *,
    parked_tokens: int = 0,
    shares_prefixes: bool = True,
    kept: int | None = None,
) -> KvCache:
    memory = RecordingMemory()
    memory.kv = KvCache(
        cells,
        slots,
        memory,
        parked_bytes=parked_tokens * TOKEN_BYTES,
        shares_prefixes=shares_prefixes,
        kept=kept,
    )
    return memory.kv


def calls(kv: KvCache) -> list[tuple[Any, ...]]:
    memory = kv._memory
    assert isinstance(memory, RecordingMemory)
    return memory.calls


def run(kv: KvCache, tokens: list[int]) -> Slot:
    """A running sequence that has computed `tokens`, sharing what there is."""
    source, length = kv.match(tokens)
    slot = kv.open(source, length)
    assert slot is not None
    kv.computed(slot, tokens[length:])
    return slot


def check(kv: KvCache) -> None:
    """The counts say what the slots hold."""
    held = Counter(cell for slot in kv._slots for cell in slot.cells)
    assert kv.free_cells + len(held) == kv.cells
    assert len(set(kv._free)) == len(kv._free)
    assert not set(kv._free) & set(held)
    assert [held[cell] for cell in range(kv.cells)] == kv._holders
    for slot in kv._slots:
        assert len(slot.tokens) == len(slot.cells) == len(set(slot.cells))


def test_the_longest_computed_prefix_matches() -> None:
    """Of several, the one with most tokens in common."""
    kv = cache()
    run(kv, [1, 2, 9])
    long = run(kv, [1, 2, 3, 4])
    assert kv.match([1, 2, 3, 4, 5]) == (long, 4)
    assert kv.match([7, 8]) == (None, 0)


def test_the_last_token_is_never_matched() -> None:
    """Its logits are wanted, so it has to be computed, even for the same prompt again."""
    kv = cache()
    slot = run(kv, [1, 2, 3])
    assert kv.match([1, 2, 3]) == (slot, 2)
    assert kv.match([1]) == (None, 0)


def test_a_running_sequence_is_shared() -> None:
    """A prefix can be taken from a sequence that still runs; its cells are held twice."""
    kv = cache(cells=10)
    first = run(kv, [1, 2, 3, 4])
    second = run(kv, [1, 2, 3, 5])
    assert calls(kv)[-1] == ("copy", first.number, second.number, 3)
    assert kv.free_cells == 10 - 5
    assert second.cells[:3] == first.cells[:3]
    assert kv.share_in_use == 0.5
    kv.close(first, keep=False)
    assert kv.free_cells == 10 - 4
    check(kv)


def test_open_without_an_idle_slot_gives_none() -> None:
    """All ids are in use; nothing is changed."""
    kv = cache(slots=2)
    run(kv, [1])
    run(kv, [2])
    before = list(calls(kv))
    assert kv.open(None, 0) is None
    assert calls(kv) == before


def test_open_takes_an_empty_slot_before_a_cached_prefix() -> None:
    """A cached prefix is given up only when no id is empty, the least recently used first."""
    kv = cache(slots=3)
    for tokens in ([1, 1], [2, 2]):
        kv.close(run(kv, tokens))
    kv.close(run(kv, [3, 3]))
    kv.close(run(kv, [4, 4]))
    assert kv.match([1, 1, 0])[1] == 0
    assert [kv.match([n, n, 0])[1] for n in (2, 3, 4)] == [2, 2, 2]


def test_a_slot_that_ends_empty_is_taken_first() -> None:
    """A sequence that was aborted before anything was computed costs no cached prefix."""
    kv = cache(slots=2)
    kv.close(run(kv, [1, 1]))
    empty = kv.open(None, 0)
    assert empty is not None
    kv.close(empty)
    assert run(kv, [2, 2]) is empty
    assert kv.match([1, 1, 0])[1] == 2


def test_using_a_prefix_keeps_it() -> None:
    """A source that was just used is not the next to be given up."""
    kv = cache(slots=3)
    kv.close(run(kv, [1, 1]))
    kv.close(run(kv, [2, 2]))
    kv.close(run(kv, [1, 1, 5, 5]))
    run(kv, [3])
    run(kv, [4])
    assert kv.match([1, 1, 0])[1] == 2
    assert kv.match([2, 2, 0])[1] == 0


def test_the_only_idle_slot_is_gone_on_in() -> None:
    """Where the wanted prefix lies in the last idle id, it is cut there and not copied."""
    kv = cache(slots=2, parked_tokens=10)
    run(kv, [9])
    cached = run(kv, [1, 2, 3])
    kv.close(cached)
    again = run(kv, [1, 2, 7])
    assert again is cached
    assert again.tokens == [1, 2, 7]
    assert calls(kv)[-1] == ("truncate", cached.number, 2)
    assert kv.parked.covers([1, 2, 3])
    check(kv)


def test_the_next_turn_of_a_conversation_goes_on_in_its_slot() -> None:
    """A prompt that begins with all of an idle slot's tokens needs no copy."""
    kv = cache(parked_tokens=10)
    cached = run(kv, [1, 2, 3])
    kv.close(cached)
    before = list(calls(kv))
    assert run(kv, [1, 2, 3, 4]) is cached
    assert calls(kv) == before


def test_a_parked_prefix_comes_back() -> None:
    """Out of the KV cache by park_idle, and back, cut to what is shared, when it is wanted."""
    kv = cache(cells=64, parked_tokens=64)
    tokens = list(range(30))
    kv.close(run(kv, tokens))
    assert kv.park_idle()
    assert kv.free_cells == 64
    assert not kv.park_idle()
    again = run(kv, [*tokens[:20], 99, 99])
    assert ("restore", again.number, tokens) in calls(kv)
    assert again.tokens == [*tokens[:20], 99, 99]
    check(kv)


def test_a_state_that_cannot_be_restored_is_computed_again() -> None:
    """llama.cpp refuses: the slot is open and empty."""
    kv = cache(cells=64, parked_tokens=64)
    tokens = list(range(30))
    kv.close(run(kv, tokens))
    kv.park_idle()
    memory = kv._memory
    assert isinstance(memory, RecordingMemory)
    memory.restores = False
    source, length = kv.match([*tokens, 99])
    assert length == 30
    slot = kv.open(source, length)
    assert slot is not None
    assert slot.tokens == []
    check(kv)


def test_a_parked_prefix_without_room_for_all_of_it_does_not_match() -> None:
    """Restoring takes its whole length for a moment; running sequences are not moved for that."""
    kv = cache(cells=40, parked_tokens=64)
    tokens = list(range(30))
    kv.close(run(kv, tokens))
    kv.park_idle()
    running = run(kv, [99] * 11)
    assert kv.match([*tokens, 99]) == (None, 0)
    kv.close(running)
    assert kv.match([*tokens, 99])[1] == 30


def test_cells_of_a_parked_prefix_are_yet_to_be_taken() -> None:
    """What will be restored counts as not available, as does a shared prefix."""
    kv = cache(cells=64, parked_tokens=64)
    tokens = list(range(30))
    kv.close(run(kv, tokens))
    kv.park_idle()
    source, length = kv.match([*tokens, 99])
    assert kv.available_cells(source, length) == 64 - 30


def test_nothing_is_parked_that_is_larger_than_the_memory_for_it() -> None:
    """Its state isn't even copied."""
    kv = cache(cells=64, parked_tokens=10)
    kv.close(run(kv, list(range(11))))
    kv.park_idle()
    assert not kv.parked.covers([0])


def test_make_room_drops_the_least_recently_used_first() -> None:
    """And no more than is needed, and nothing of what runs."""
    kv = cache(cells=12, slots=4)
    kv.close(run(kv, [1] * 4))
    kv.close(run(kv, [2] * 4))
    running = run(kv, [3] * 4)
    assert kv.make_room(3)
    assert kv.match([1] * 5)[1] == 0
    assert kv.match([2] * 5)[1] == 4
    assert kv.make_room(8)
    assert not kv.make_room(9)
    assert running.tokens == [3] * 4
    check(kv)


def test_available_cells_counts_what_could_be_dropped() -> None:
    """Cached prefixes count as free, except for the one that is to be used."""
    kv = cache(cells=20)
    run(kv, [1] * 5)
    cached = run(kv, [2] * 6)
    kv.close(cached)
    assert kv.free_cells == 9
    assert kv.available_cells() == 15
    assert kv.available_cells(cached, 4) == 11


def test_a_prefix_shared_with_a_running_sequence_is_counted_once() -> None:
    """Cells that are held anyway cost nothing more when another slot shares them."""
    kv = cache(cells=20)
    cached = run(kv, [1] * 6)
    run(kv, [1] * 6 + [2])
    kv.close(cached)
    assert kv.available_cells() == kv.available_cells(cached, 5) == 13


def test_close_frees_prefixes_of_what_it_keeps() -> None:
    """A cached prefix of the ended sequence has nothing of its own: its id is empty again."""
    kv = cache()
    short = run(kv, [1, 2])
    other = run(kv, [1, 9])
    long = run(kv, [1, 2, 3])
    kv.close(short)
    kv.close(other)
    kv.close(long)
    assert short.tokens == []
    assert other.tokens == [1, 9]
    assert long.tokens == [1, 2, 3]
    check(kv)


def test_close_leaves_running_sequences_alone() -> None:
    """Only ended sequences are cleaned up."""
    kv = cache()
    running = run(kv, [1, 2])
    kv.close(run(kv, [1, 2, 3]))
    assert running.tokens == [1, 2]


def test_close_without_keep_frees_everything() -> None:
    """A preempted sequence leaves no cached prefix."""
    kv = cache(cells=8)
    kv.close(run(kv, [1, 2]), keep=False)
    assert kv.free_cells == 8
    assert kv.match([1, 2, 3]) == (None, 0)


def test_park_idle_frees_all_that_does_not_run() -> None:
    """True when something was freed."""
    kv = cache(cells=12)
    kv.close(run(kv, [1] * 4))
    run(kv, [2] * 4)
    assert kv.park_idle()
    assert kv.free_cells == 8
    assert not kv.park_idle()


def test_undo_cuts_llama_cpp_back_to_what_is_counted() -> None:
    """After a failed decode the counts stay and llama.cpp drops the rest."""
    kv = cache()
    slot = run(kv, [1, 2, 3])
    kv.undo(slot)
    assert calls(kv)[-1] == ("truncate", slot.number, 3)
    assert slot.tokens == [1, 2, 3]


def test_a_model_that_cannot_share_keeps_nothing() -> None:
    """Recurrent states cannot be cut: no match, and nothing is left of an ended sequence."""
    kv = cache(cells=8, shares_prefixes=False)
    slot = run(kv, [1, 2, 3])
    assert kv.match([1, 2, 3, 4]) == (None, 0)
    kv.close(slot)
    assert kv.free_cells == 8


OPERATIONS = st.lists(
    st.tuples(
        st.sampled_from(["open", "grow", "close", "discard", "room", "drop", "available"]),
        st.integers(0, 7),
        st.lists(st.integers(0, 1), min_size=1, max_size=8)
        | st.just([0] * 20)
        | st.just([0] * 18 + [1]),
    ),
    max_size=60,
)


@settings(deadline=None, max_examples=200)
@given(OPERATIONS, st.booleans())
def test_counts_stay_exact(
    operations: list[tuple[str, int, list[int]]], shares_prefixes: bool
) -> None:
    """Whatever happens, each cell is free or held, by as many slots as are counted."""
    kv = cache(cells=24, slots=4, parked_tokens=40, shares_prefixes=shares_prefixes)
    running: list[Slot] = []
    for kind, number, tokens in operations:
        slot = running[number % len(running)] if running else None
        if kind == "open":
            source, length = kv.match(tokens)
            opened = kv.open(source, length)
            assert (opened is None) == (len(running) == 4)
            if opened is not None:
                assert opened.tokens == tokens[:length]
                running.append(opened)
        elif kind == "grow" and slot is not None:
            if kv.make_room(len(tokens)):
                kv.computed(slot, tokens)
        elif kind in ("close", "discard") and slot is not None:
            running.remove(slot)
            kv.close(slot, keep=kind == "close")
        elif kind == "room":
            assert kv.make_room(number) == (kv.free_cells >= number)
        elif kind == "drop":
            kv.park_idle()
            assert kv.free_cells == kv.available_cells()
        elif kind == "available":
            held = {cell for s in running for cell in s.cells}
            assert kv.available_cells() == kv.cells - len(held)
            assert kv.share_in_use == len(held) / kv.cells
        check(kv)


def test_no_prefix_is_kept_where_none_may_be() -> None:
    """ENABLE_CACHING=false: what an ended sequence has computed is gone, and nothing is parked."""
    kv = cache(parked_tokens=100, kept=0)
    kv.close(run(kv, [1, 2, 3]))
    assert kv.match([1, 2, 3, 5]) == (None, 0)
    assert (kv.free_cells, kv.parked.budget) == (kv.cells, 0)


def test_those_that_run_share_also_where_no_prefix_is_kept() -> None:
    """It is ended sequences that are not kept."""
    kv = cache(kept=0)
    slot = run(kv, [1, 2, 3])
    assert kv.match([1, 2, 3, 5]) == (slot, 3)


def test_no_more_prefixes_are_kept_than_may_be() -> None:
    """CACHE_SIZE: the least recently used goes, whether it is parked or not."""
    long = [list(range(start, start + 20)) for start in (100, 200, 300)]
    kv = cache(cells=100, parked_tokens=100, kept=2)
    kv.close(run(kv, long[0]))
    kv.park_idle()
    assert len(kv.parked) == 1
    for tokens in long[1:]:
        kv.close(run(kv, tokens))
    assert len(kv.parked) == 0
    assert [kv.match([*tokens, 1])[1] for tokens in long] == [0, 20, 20]
    kv.park_idle()
    kv.close(run(kv, long[0]))
    assert [kv.match([*tokens, 1])[1] for tokens in long] == [20, 0, 20]
