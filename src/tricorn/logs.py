"""structlog for every process: coloured lines for people, JSON for machines."""

from __future__ import annotations

import logging
import sys
from typing import Any, TextIO, cast

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


def _drop_quieter(_: object, method: str, event: Any) -> Any:
    if _LEVELS.get(method.upper(), logging.CRITICAL) < _lowest:
        raise structlog.DropEvent
    return event


def set_up(*, level: str = "INFO", json: bool = False, process: str) -> None:
    """Configure logging of this process; to stderr, one line an event."""
    set_level(level)
    shared: list[Any] = [
        _drop_quieter,
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso" if json else "%H:%M:%S", utc=json),
        structlog.processors.StackInfoRenderer(),
    ]
    renderer: list[Any] = (
        [structlog.processors.dict_tracebacks, structlog.processors.JSONRenderer()]
        if json
        else [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())]
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
