"""From token bytes to text that may be shown: whole characters, and nothing of a stop string."""

from __future__ import annotations

import codecs
from collections.abc import Sequence


class TextStream:
    """One sequence's text. Feed it each token's bytes; it gives what is safe to send.

    A token may end inside a UTF-8 character, and a stop string may begin in one token and end in a
    later one; both are held back until they are decided.
    """

    def __init__(self, stop: Sequence[str] = ()) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._stop = tuple(stop)
        self._held = ""

    def push(self, token: bytes, *, check_stop: bool = True) -> tuple[str, str | None]:
        """(text to send, the stop string that was met). After a stop string nothing may follow.

        check_stop=False lets stop strings pass (while `min_tokens` is not reached).
        """
        text = self._held + self._decoder.decode(token)
        self._held = ""
        if not check_stop or not self._stop:
            return text, None
        found = [(at, stop) for stop in self._stop if (at := text.find(stop)) >= 0]
        if found:
            at, stop = min(found)
            return text[:at], stop
        keep = max(_overlap(text, stop) for stop in self._stop)
        if keep:
            self._held = text[-keep:]
            text = text[:-keep]
        return text, None

    def finish(self) -> str:
        """What was held back for a stop string that did not come.

        An unfinished character at the end is dropped: half a character is no text.
        """
        text, self._held = self._held, ""
        return text


def _overlap(text: str, stop: str) -> int:
    """Length of the longest end of `text` that is a beginning of `stop` (but not all of it)."""
    for length in range(min(len(text), len(stop) - 1), 0, -1):
        if text.endswith(stop[:length]):
            return length
    return 0
