"""Who holds which cells of the unified KV cache.

Every sequence id ("slot") of llama.cpp holds a run of computed tokens. Slots share cells: copying a
prefix (`llama_memory_seq_cp`) only marks the cells as belonging to one more slot. A slot whose
sequence has ended stays, as a cached prefix, until others compute or its cells or id are needed;
then it is parked in main memory.

Cells are counted here, with the same sharing, so that the scheduler knows what is free before it
asks llama.cpp for it. The numbers are for counting; where a cell lies is llama.cpp's affair.
"""

from __future__ import annotations

import itertools
from typing import Protocol

from tricorn.engines.llamacpp.parked import Parked, ParkedPrefixes, State
from tricorn.engines.prefix import common_prefix


class Memory(Protocol):
    """llama.cpp's side of it."""

    def copy_prefix(self, source: int, target: int, length: int) -> None: ...

    def truncate(self, slot: int, length: int) -> bool: ...

    def state_size(self, slot: int) -> int:
        """Bytes that `save` will take."""
        ...

    def save(self, slot: int) -> State: ...

    def restore(self, slot: int, state: State) -> bool:
        """Into an empty slot. False: it did not work and the slot is still empty."""
        ...


class Slot:
    """One sequence id and the tokens that are computed under it."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.tokens: list[int] = []
        self.cells: list[int] = []
        self.in_use = False
        self.last_used = 0


class KvCache:
    """All slots and cells of one llama.cpp context.

    parked_bytes: main memory for parked prefixes; 0: none are kept.
    kept: ended sequences whose prefixes are kept, parked or not; 0: none; None: as many as fit.
    shares_prefixes: False for models whose state cannot be cut at a token (recurrent ones).
    """

    def __init__(
        self,
        cells: int,
        slots: int,
        memory: Memory,
        *,
        parked_bytes: int,
        shares_prefixes: bool,
        kept: int | None = None,
    ) -> None:
        self.cells = cells
        self.parked = ParkedPrefixes(0 if kept == 0 else parked_bytes)
        self._kept = kept
        self._memory = memory
        self._shares_prefixes = shares_prefixes
        self._slots = [Slot(number) for number in range(slots)]
        self._holders = [0] * cells
        self._free = list(range(cells))
        self._clock = itertools.count(1)
        self._held_by_running = 0

    # --- reading -------------------------------------------------------------------------------

    @property
    def free_cells(self) -> int:
        return len(self._free)

    @property
    def share_in_use(self) -> float:
        """0 to 1: cells held by running sequences, as of the last admission or step."""
        return self._held_by_running / self.cells

    def available_cells(self, source: Slot | Parked | None = None, length: int = 0) -> int:
        """Free cells, counting those of cached prefixes, but for the first `length` tokens of
        `source`."""
        running = self._running_cells()
        self._held_by_running = len(running)
        if isinstance(source, Parked):
            return self.cells - len(running) - length
        if source is not None:
            running.update(source.cells[:length])
        return self.cells - len(running)

    def _running_cells(self) -> set[int]:
        return {cell for slot in self._slots if slot.in_use for cell in slot.cells}

    def _count(self) -> None:
        self._held_by_running = len(self._running_cells())

    def match(self, tokens: list[int]) -> tuple[Slot | Parked | None, int]:
        """Who has the longest computed prefix of `tokens`, and its length in tokens.

        The last token is never matched: it has to be computed, for its logits.
        """
        if not self._shares_prefixes:
            return None, 0
        wanted = tokens[:-1]
        best: Slot | None = None
        length = 0
        for slot in self._slots:
            if len(slot.tokens) > length or slot.in_use:
                common = common_prefix(slot.tokens, wanted)
                if common > length:
                    best, length = slot, common
        parked, parked_length = self.parked.match(wanted, room=self.available_cells())
        return (parked, parked_length) if parked_length > length else (best, length)

    # --- changing ------------------------------------------------------------------------------

    def open(self, source: Slot | Parked | None, length: int) -> Slot | None:
        """A slot for a new sequence, holding `source`'s first `length` tokens, or fewer where
        llama.cpp could not restore them. None: all slots are in use."""
        idle = [slot for slot in self._slots if not slot.in_use]
        if not idle:
            return None
        if isinstance(source, Slot):
            slot = self._open_beside(source, length, idle)
            source.last_used = next(self._clock)
        else:
            slot = min(idle, key=lambda slot: slot.last_used)
            self._park(slot)
            if source is not None:
                self._restore(slot, source, length)
        slot.in_use = True
        slot.last_used = next(self._clock)
        self._count()
        return slot

    def _open_beside(self, source: Slot, length: int, idle: list[Slot]) -> Slot:
        others = [slot for slot in idle if slot is not source]
        if source in idle and (length == len(source.tokens) or not others):
            # The next turn of a conversation, or no other slot is idle: go on in it.
            if length < len(source.tokens):
                self._save(source)
            self._cut(source, length)
            return source
        # Empty ones first (last_used 0), then the least recently used cached prefix.
        slot = min(others, key=lambda slot: slot.last_used)
        self._park(slot)
        if length:
            self._memory.copy_prefix(source.number, slot.number, length)
            slot.tokens = source.tokens[:length]
            slot.cells = source.cells[:length]
            for cell in slot.cells:
                self._holders[cell] += 1
        return slot

    def _restore(self, slot: Slot, parked: Parked, length: int) -> None:
        self.parked.touch(parked)
        if self.make_room(len(parked.tokens)) and self._memory.restore(slot.number, parked.state):
            self.computed(slot, parked.tokens)
            self._cut(slot, length)

    def computed(self, slot: Slot, tokens: list[int]) -> None:
        """llama.cpp has `tokens` at the end of `slot`. There must have been room."""
        for token in tokens:
            cell = self._free.pop()
            self._holders[cell] = 1
            slot.cells.append(cell)
            slot.tokens.append(token)
        self._held_by_running += len(tokens)

    def undo(self, slot: Slot) -> None:
        """Drop from llama.cpp what a failed decode may have left beyond the computed tokens."""
        self._memory.truncate(slot.number, len(slot.tokens))

    def close(self, slot: Slot, *, keep: bool = True) -> None:
        """The sequence has ended; what it computed stays as a cached prefix if `keep`."""
        slot.in_use = False
        # An empty slot is no cached prefix: it is the first to be taken again.
        slot.last_used = next(self._clock) if slot.tokens else 0
        self._count()
        if not keep or not self._shares_prefixes or self._kept == 0:
            self._cut(slot, 0)
            return
        for other in self._slots:
            # A cached prefix of this one has nothing of its own: free its id.
            if (
                not other.in_use
                and other is not slot
                and len(other.tokens) <= len(slot.tokens)
                and slot.tokens[: len(other.tokens)] == other.tokens
            ):
                self._cut(other, 0)
        self._forget_surplus()

    def _forget_surplus(self) -> None:
        """Drop the least recently used prefixes beyond those that may be kept. What was parked was
        used before anything that was not."""
        cached = self._cached()
        while self._kept is not None and len(cached) + len(self.parked) > self._kept:
            if len(self.parked):
                self.parked.forget_oldest()
            else:
                self._cut(cached.pop(0), 0)

    def _cached(self) -> list[Slot]:
        """Slots of ended sequences, the least recently used first."""
        return sorted(
            (slot for slot in self._slots if not slot.in_use and slot.tokens),
            key=lambda slot: slot.last_used,
        )

    def make_room(self, cells: int) -> bool:
        """Park cached prefixes, least recently used first, until `cells` are free."""
        for slot in self._cached():
            if self.free_cells >= cells:
                break
            self._park(slot)
        return self.free_cells >= cells

    def park_idle(self) -> bool:
        """Park every cached prefix, so that steps don't walk over it; False: no cell was freed."""
        before = self.free_cells
        self.make_room(self.cells + 1)
        return self.free_cells > before

    def _park(self, slot: Slot) -> None:
        self._save(slot)
        self._cut(slot, 0)

    def _save(self, slot: Slot) -> None:
        if not slot.tokens or not self.parked.budget or self.parked.covers(slot.tokens):
            return
        if self._memory.state_size(slot.number) <= self.parked.budget:
            self.parked.add(list(slot.tokens), self._memory.save(slot.number))
            while self._kept is not None and len(self.parked) > self._kept:
                self.parked.forget_oldest()

    def _cut(self, slot: Slot, length: int) -> None:
        if length == len(slot.tokens):
            return
        self._memory.truncate(slot.number, length)
        for cell in slot.cells[length:]:
            self._holders[cell] -= 1
            if not self._holders[cell]:
                self._free.append(cell)
        del slot.cells[length:]
        del slot.tokens[length:]
        if not length:
            slot.last_used = 0
