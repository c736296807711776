"""gunicorn's own messages as lines of our log, so that JSON logs stay JSON."""

from __future__ import annotations

from typing import Any

import structlog
from gunicorn.glogging import Logger

KNOWN = "Reloader is on"
"""A warning against what dev mode is for."""

SENT_AFTER = {"Error handling request": "?", "Ignored premature client disconnection": ":"}
"""How messages begin that have something of a request, maybe a key, after that sign."""

log = structlog.get_logger(part="gunicorn")


class GunicornLog(Logger):  # type: ignore[misc]
    """Informational messages (booting, listening) are debug here: the manager says what matters."""

    def critical(self, msg: str, *args: Any, **kwargs: Any) -> None:
        log.critical(_text(msg, args))

    def error(self, msg: str, *args: Any, **kwargs: Any) -> None:
        log.error(_text(msg, args))

    def warning(self, msg: str, *args: Any, **kwargs: Any) -> None:
        if msg.startswith(KNOWN):
            log.debug(_text(msg, args))
        else:
            log.warning(_text(msg, args))

    def info(self, msg: str, *args: Any, **kwargs: Any) -> None:
        log.debug(_text(msg, args))

    def debug(self, msg: str, *args: Any, **kwargs: Any) -> None:
        log.debug(_text(msg, args))

    def exception(self, msg: str, *args: Any, **kwargs: Any) -> None:
        log.exception(_text(msg, args))


def _text(msg: object, args: tuple[Any, ...]) -> str:
    text = str(msg)
    text = (text % args if args else text).strip()
    for begin, sign in SENT_AFTER.items():
        if text.startswith(begin):
            return text.partition(sign)[0]
    return text
