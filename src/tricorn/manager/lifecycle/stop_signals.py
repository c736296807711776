"""The signals that end Tricorn. Their handlers only enqueue."""

from __future__ import annotations

import asyncio
import signal
import sys

REPEAT_S = 0.5
"""A signal so soon after the first one is the same wish: timeout(1) and wrappers such as `uv run`
signal both the process and its group."""


_SIGNALS = [signal.SIGTERM, signal.SIGINT]
if sys.platform == "win32":
    _SIGNALS.append(signal.SIGBREAK)  # Ctrl-Break, and the end of the console


def listen(queue: asyncio.Queue[int]) -> None:
    """Put SIGTERM and SIGINT into `queue`, whatever the event loop is doing."""
    loop = asyncio.get_running_loop()
    for number in _SIGNALS:
        if sys.platform == "win32":
            signal.signal(
                number, lambda got, _: loop.call_soon_threadsafe(queue.put_nowait, int(got))
            )
        else:
            loop.add_signal_handler(number, queue.put_nowait, int(number))


async def second(signals: asyncio.Queue[int]) -> None:
    """Wait for a signal that is another wish than the first, which came just now."""
    loop = asyncio.get_running_loop()
    first_at = loop.time()
    await signals.get()
    while loop.time() - first_at < REPEAT_S:
        await signals.get()


def ignore() -> None:
    """What is left is to remove files and to exit; no impatient signal shall stop that half-way."""
    loop = asyncio.get_running_loop()
    numbers = [*_SIGNALS]
    if sys.platform != "win32":
        numbers.append(signal.SIGHUP)
    for number in numbers:
        if sys.platform != "win32":
            loop.remove_signal_handler(number)
        signal.signal(number, signal.SIG_IGN)
