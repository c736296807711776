"""A trace's context as it goes from process to process: the headers of W3C's Trace Context."""

from __future__ import annotations

Headers = dict[str, str]
"""`traceparent`, and `tracestate` where there is one."""
PARENT = "traceparent"
STATE = "tracestate"
NAMES = (PARENT, STATE)


def trace_id(headers: Headers | None) -> str | None:
    """32 hexadecimal digits."""
    return None if headers is None else headers.get(PARENT, "")[3:35]
