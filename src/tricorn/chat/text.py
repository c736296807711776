"""From token bytes to text that may be shown: whole characters, and nothing of a stop string."""

from __future__ import annotations

import codecs
from collections.abc import Sequence

from tricorn.chat.reader import overlap
from tricorn.engines.request import CallMarks, SamplingParams


class TextStream:
    """One sequence's text. Feed it each token's bytes; it gives what is safe to send.

    A token may end inside a UTF-8 character, and a stop string may begin in one token and end in a
    later one; both are held back until they are decided. Stop strings count in the answer's
    content: neither in a thought nor in a call of a tool, which they would leave in pieces.

    thought, calls: as in `SamplingParams`.
    """

    def __init__(
        self,
        stop: Sequence[str] = (),
        *,
        thought: tuple[str, str] | None = None,
        calls: CallMarks | None = None,
    ) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._stop = tuple(stop)
        self._held = ""
        self._thought = thought if stop else None
        self._calls = calls if stop else None
        self._until = thought[1] if thought is not None and not thought[0] else None
        """Inside of a thought or a call: what ends it; empty: nothing does."""
        self._seen = ""
        """The end of the thought or call so far, as long as a part of its end mark can be."""

    @classmethod
    def of(cls, sampling: SamplingParams) -> TextStream:
        return cls(sampling.stop, thought=sampling.thought, calls=sampling.calls)

    def push(self, token: bytes, *, check_stop: bool = True) -> tuple[str, str | None]:
        """(text to send, the stop string that was met). After a stop string nothing may follow.

        check_stop=False lets stop strings pass (while `min_tokens` is not reached).
        """
        text = self._held + self._decoder.decode(token)
        self._held = ""
        if not self._stop:
            return text, None
        shown = ""
        while text:
            if self._until is not None:
                given, text = self._past_markup(text, self._until)
            elif self._thought is not None:
                given, text = self._thought_begins(text, *self._thought)
            elif self._calls is not None and self._calls.first:
                given, text = self._call_begins(text, self._calls)
            else:
                given, text, stop = self._content(text, self._stop if check_stop else ())
                if stop is not None:
                    return shown + given, stop
            shown += given
        return shown, None

    def _past_markup(self, text: str, end: str) -> tuple[str, str]:
        """(what belongs to the thought or call, what is behind it)."""
        seen = self._seen + text
        at = seen.find(end) if end else -1
        if at < 0:
            self._seen = seen[1 - len(end) :] if len(end) > 1 else ""
            return text, ""
        length = at + len(end) - len(self._seen)
        self._thought, self._until, self._seen = None, None, ""
        return text[:length], text[length:]

    def _thought_begins(self, text: str, begin: str, end: str) -> tuple[str, str]:
        start = text.lstrip()
        if start.startswith(begin):
            self._until = end
        elif begin.startswith(start):
            self._held = text
            return "", ""
        else:
            self._thought = None
        return "", text

    def _call_begins(self, text: str, calls: CallMarks) -> tuple[str, str]:
        """Where nothing marks a call but its beginning."""
        start = "".join(text.split())
        if any(map(start.startswith, calls.begin)):
            self._until = calls.end
        elif any(begin.startswith(start) for begin in calls.begin):
            self._held = text
            return "", ""
        else:
            self._calls = None
        return "", text

    def _content(self, text: str, stops: Sequence[str]) -> tuple[str, str, str | None]:
        """(text to send, text behind it that begins a call, the stop string that was met)."""
        begins = self._calls.begin if self._calls is not None else ()
        found = [(at, begin) for begin in begins if (at := text.find(begin)) >= 0]
        if found:
            at = min(found)[0]
        else:
            # The end may be the beginning of a call, so that it is no content.
            at = len(text) - max((overlap(text, begin) for begin in begins), default=0)
        before, stop = _up_to(text[:at], stops)
        if stop is not None:
            return before, "", stop
        if found:
            assert self._calls is not None
            self._until = self._calls.end
            return before, text[at:], None
        keep = max((overlap(text, mark) for mark in (*stops, *begins)), default=0)
        at = len(text) - keep
        self._held = text[at:]
        return text[:at], "", None

    def finish(self) -> str:
        """What was held back for a stop string or a call that did not come.

        An unfinished character at the end is dropped: half a character is no text.
        """
        text, self._held = self._held, ""
        return _up_to(text, self._stop)[0]


def _up_to(text: str, stops: Sequence[str]) -> tuple[str, str | None]:
    found = [(at, stop) for stop in stops if (at := text.find(stop)) >= 0]
    if not found:
        return text, None
    at, stop = min(found)
    return text[:at], stop
