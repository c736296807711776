"""Who waits for a place in the batch, by priority; and who gives one back first. Pure."""

from __future__ import annotations

from bisect import insort
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Generic, Protocol, TypeVar

from tricorn.engines.request import GenerateRequest


class Prioritised(Protocol):
    """A sequence, as far as this file cares."""

    @property
    def request(self) -> GenerateRequest: ...


S = TypeVar("S", bound=Prioritised)


class WaitingLine(Generic[S]):
    """Sequences by the priority of their request, lower first; among equals, who came first.

    One line for each priority that is waiting, so that where all are equal it is a plain deque.
    """

    def __init__(self) -> None:
        self._lines: dict[int, deque[S]] = {}
        self._priorities: list[int] = []
        """Of the lines, ascending; a line is dropped with its last sequence."""
        self._length = 0

    def __len__(self) -> int:
        """Safe to ask from any thread."""
        return self._length

    def __iter__(self) -> Iterator[S]:
        for priority in self._priorities:
            yield from self._lines[priority]

    def append(self, sequence: S) -> None:
        """Behind its equals."""
        self._line(sequence.request.priority).append(sequence)
        self._length += 1

    def put_back(self, sequences: Iterable[S]) -> None:
        """In front of their equals, and in this order among themselves."""
        for sequence in reversed(tuple(sequences)):
            self._line(sequence.request.priority).appendleft(sequence)
            self._length += 1

    def pop(self) -> S:
        """Take out the first one. IndexError where nobody waits."""
        priority = self._priorities[0]
        sequence = self._lines[priority].popleft()
        self._shrunk(priority)
        return sequence

    def remove(self, sequence: S) -> None:
        """Take one out, wherever it stands. ValueError where it does not wait."""
        priority = sequence.request.priority
        self._lines.get(priority, deque[S]()).remove(sequence)
        self._shrunk(priority)

    def _line(self, priority: int) -> deque[S]:
        line = self._lines.get(priority)
        if line is None:
            line = self._lines[priority] = deque()
            insort(self._priorities, priority)
        return line

    def _shrunk(self, priority: int) -> None:
        self._length -= 1
        if not self._lines[priority]:
            del self._lines[priority]
            self._priorities.remove(priority)


def first_to_yield(running: Sequence[S]) -> S:
    """Who is sent back to wait when room runs out: of the worst priority, the youngest.

    running: at least one, in the order of their admission.
    """
    return max(reversed(running), key=lambda sequence: sequence.request.priority)
