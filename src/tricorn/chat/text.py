"""From token bytes to text that may be shown: whole characters, and nothing of a stop string."""

from __future__ import annotations

import codecs
from collections.abc import Sequence


class TextStream:
    """One sequence's text. Feed it each token's bytes; it gives what is safe to send.

    A token may end inside a UTF-8 character, and a stop string may begin in one token and end in a
    later one; both are held back until they are decided.

    thought: as `SamplingParams.thought`.
    """

    def __init__(self, stop: Sequence[str] = (), *, thought: tuple[str, str] | None = None) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._stop = tuple(stop)
        self._held = ""
        self._thought = thought if stop else None
        self._inside = thought is not None and not thought[0]
        self._seen = ""
        """The end of the thought so far, as long as a part of its end mark can be."""

    def push(self, token: bytes, *, check_stop: bool = True) -> tuple[str, str | None]:
        """(text to send, the stop string that was met). After a stop string nothing may follow.

        check_stop=False lets stop strings pass (while `min_tokens` is not reached).
        """
        text = self._held + self._decoder.decode(token)
        self._held = ""
        if not check_stop or not self._stop:
            return text, None
        if self._thought is None:
            return self._up_to_stop(text)
        thought, rest = self._past_thought(text, *self._thought)
        text, stop = self._up_to_stop(rest) if rest else ("", None)
        return thought + text, stop

    def _past_thought(self, text: str, begin: str, end: str) -> tuple[str, str]:
        """(what belongs to the thought, what is behind it); both are empty while it is not known
        whether there is one."""
        if not self._inside:
            start = text.lstrip()
            if begin.startswith(start) and start != begin:
                self._held = text
                return "", ""
            if not start.startswith(begin):
                self._thought = None
                return "", text
            self._inside = True
        seen = self._seen + text
        at = seen.find(end)
        if at < 0:
            self._seen = seen[1 - len(end) :]
            return text, ""
        self._thought = None
        length = at + len(end) - len(self._seen)
        return text[:length], text[length:]

    def _up_to_stop(self, text: str) -> tuple[str, str | None]:
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
