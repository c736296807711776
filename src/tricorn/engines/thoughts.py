"""A thought that may have so many tokens: followed as it grows, ended when it has them. Pure."""

from __future__ import annotations

import codecs
from collections.abc import Callable

from tricorn.chat.reader import overlap
from tricorn.engines.request import ThoughtLimit


class Thought:
    """Of one sequence. Tell it every token by `took`; `forced` says what has to come next.

    A thought is not cut inside a character, nor where the model itself may be writing its end: so
    it may become longer by a few tokens.

    whole: a token's bytes, those of control tokens too.
    """

    def __init__(self, limit: ThoughtLimit, whole: Callable[[int], bytes]) -> None:
        self._limit = limit
        self._whole = whole
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._inside = limit.opened
        self._seen = ""
        """The end of the text so far, as long as a mark's beginning can be in it."""
        self._used = 0
        self._times = 0
        """How often a thought was ended from here."""
        self._due: tuple[int, ...] = ()
        self.over = False
        """Nothing is to be forced any more."""
        self._decide()

    @property
    def patience(self) -> int:
        """Nothing is forced before the sequence has this many tokens."""
        return self._limit.tokens

    def forced(self) -> int | None:
        """The token that has to come next; None: any may."""
        return self._due[0] if self._due else None

    def took(self, token: int) -> None:
        """The sequence has grown by it."""
        if self.over:
            return
        text = self._decoder.decode(self._whole(token))
        if self._due:
            self._due = self._due[1:]
            if not self._due:
                self._leave("")
            return
        self._seen += text
        if self._inside:
            self._used += 1
        else:
            self._look_for_beginning()
        if self._inside:
            self._look_for_end()
        self._decide()

    def _look_for_beginning(self) -> None:
        begin = self._limit.begin
        if self._limit.again:
            before, found, after = self._seen.partition(begin)
            if not found:
                self._seen = before[-len(begin) :]
                return
        else:
            start = self._seen.lstrip()
            if not start.startswith(begin):
                # It comes first or not at all.
                self.over = not begin.startswith(start)
                return
            after = start[len(begin) :]
        self._inside, self._seen = True, after

    def _look_for_end(self) -> None:
        end = self._limit.end
        before, found, after = self._seen.partition(end)
        if found:
            self._used -= 1  # the end itself is no thought
            self._leave(after)
        else:
            self._seen = before[-len(end) :]

    def _leave(self, after: str) -> None:
        self._inside, self._seen = False, after
        self.over = not self._limit.again

    def _decide(self) -> None:
        whole_characters = not self._decoder.getstate()[0]
        spent = self._inside and self._used >= self._limit.tokens
        if spent and whole_characters and not overlap(self._seen, self._limit.end):
            endings = self._limit.forced
            self._due = endings[min(self._times, len(endings) - 1)]
            self._times += 1
