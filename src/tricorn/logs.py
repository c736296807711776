"""structlog for every process: coloured lines for people, JSON for machines."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TextIO, cast

import msgspec
import structlog


class _Stderr:
    """Whatever sys.stderr is at the time: loggers live longer than a stream that was replaced."""

    def write(self, text: str) -> int:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()


_LEVELS = logging.getLevelNamesMapping()
_lowest = logging.INFO


def set_level(level: str) -> None:
    """From now on, also for loggers that have been used already."""
    global _lowest
    _lowest = _LEVELS[level]


def level() -> str:
    """What is logged from now on, at least."""
    return logging.getLevelName(_lowest)


def timestamp(unix_s: float) -> str:
    """As all log files have it: UTC, so that sorting by it is sorting by time."""
    moment = datetime.fromtimestamp(unix_s, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03}Z"


def encode(event: dict[str, Any]) -> bytes:
    """One line of a log file, without its end."""
    return msgspec.json.encode(event, enc_hook=str)


NOT_COPIED = "not_copied"
"""With this set a line is not copied: another file has it."""
Sink = Callable[[bytes], None]
_sink: Sink | None = None
_process = ""


def copy_to(sink: Sink | None) -> None:
    """From now on every line that is logged goes there too, as JSON; None: nowhere. It must neither
    block nor log."""
    global _sink
    _sink = sink


def _copy(_: object, method: str, event: Any) -> Any:
    apart = event.pop(NOT_COPIED, False)
    if _sink is not None and not apart:
        told = "error" if method == "exception" else method
        # Bound for the whole process, but a thread or a greenlet may have its own context.
        shown = {"timestamp": timestamp(time.time()), "level": told, "process": _process, **event}
        structlog.processors.format_exc_info(cast(Any, None), method, shown)
        _sink(encode(shown))
    return event


def printable(text: str) -> str:
    """With escapes for characters that a terminal would obey: clients choose paths and names."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)


def _printable(_: object, __: str, event: Any) -> Any:
    for name, value in event.items():
        if isinstance(value, str) and name not in ("exception", "stack"):
            event[name] = printable(value)
    return event


def _drop_quieter(_: object, method: str, event: Any) -> Any:
    if _LEVELS.get(method.upper(), logging.CRITICAL) < _lowest:
        raise structlog.DropEvent
    return event


def set_up(*, level: str = "INFO", json: bool = False, process: str) -> None:
    """Configure logging of this process; to stderr, one line an event."""
    global _process
    _process = process
    set_level(level)
    shared: list[Any] = [
        _drop_quieter,
        structlog.contextvars.merge_contextvars,
        _copy,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso" if json else "%H:%M:%S", utc=json),
        structlog.processors.StackInfoRenderer(),
    ]
    # Both would show the variables of every function on the way: keys and prompts among them.
    frames = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
    plain = structlog.dev.plain_traceback
    renderer: list[Any] = (
        [structlog.processors.ExceptionRenderer(frames), structlog.processors.JSONRenderer()]
        if json
        else [
            _printable,
            structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain),
        ]
    )
    structlog.configure(
        processors=shared + renderer,
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG),
        logger_factory=structlog.WriteLoggerFactory(file=cast(TextIO, _Stderr())),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(process=process)


def get(name: str) -> Any:
    """A logger that names its part of Tricorn in every line."""
    return structlog.get_logger(part=name)
