"""Durations and amounts of memory, as people write them in settings and requests."""

from __future__ import annotations

import math
import re
from typing import Annotated

from pydantic import BeforeValidator

FOREVER = math.inf

_UNITS_S = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_UNITS_S |= {"d": 86400.0}
_NUMBER = re.compile(r"[+-]?[0-9]+(?:\.[0-9]*)?")
_PART = re.compile(r"([0-9]+(?:\.[0-9]*)?)(ns|us|µs|ms|s|m|h|d)")

_UNITS_BYTES = {"": 1, "b": 1}
for _power, _letter in enumerate("kmgt", start=1):
    _UNITS_BYTES[f"{_letter}b"] = 1000**_power
    _UNITS_BYTES[f"{_letter}ib"] = _UNITS_BYTES[_letter] = 1024**_power
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([a-z]*)")


def seconds(value: object) -> float:
    """Of a number of seconds, or of Go's notation ("5m", "1h30m"). FOREVER where it is below 0 or
    "never". ValueError for anything else."""
    if isinstance(value, str):
        found = _seconds_of(value.strip().lower())
    elif isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"must be a number of seconds or a duration such as '5m', got {value!r}")
    else:
        found = float(value)
    if math.isnan(found):
        raise ValueError("must be a number")
    return found if found >= 0 else FOREVER


def _seconds_of(text: str) -> float:
    if text in ("never", "forever", "infinity"):  # the last is how pydantic writes it
        return FOREVER
    if _NUMBER.fullmatch(text):
        return float(text)
    parts = text.lstrip("+-")
    if not parts or _PART.sub("", parts):
        raise ValueError(f"{text!r} is no duration; write seconds, or '5m', '1h30m', 'never'")
    total = sum(float(number) * _UNITS_S[unit] for number, unit in _PART.findall(parts))
    return -total if text.startswith("-") else total


def memory_amount(value: object) -> float | int:
    """A float up to 1: that share of what there is. An int: bytes ("24GB", "8GiB", "512M", 2e9).

    ValueError for anything else.
    """
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(f"must be a size such as '8GiB' or a share such as 0.9, got {value!r}")
    if isinstance(value, str):
        found = _SIZE.fullmatch(value.strip().lower())
        if found is None or found[2] not in _UNITS_BYTES:
            raise ValueError(f"{value!r} is no size; write '8GiB', '24GB', bytes, or a share: 0.9")
        value = float(found[1]) * _UNITS_BYTES[found[2]]
        if found[2]:
            return round(value)
    if not 0 < value < math.inf:
        raise ValueError("must be above 0")
    return float(value) if value <= 1 else round(value)


def amount_of(wanted: float | int | None, there: int | None) -> int | None:
    """Bytes: what a `MemoryAmount` means where `there` are so many; None where nothing tells."""
    if wanted is None:
        return there
    if isinstance(wanted, float):
        return None if there is None else round(wanted * there)
    return wanted


Duration = Annotated[float, BeforeValidator(seconds)]
"""Seconds, 0 or more; FOREVER for ever."""
MemoryAmount = Annotated[float | int, BeforeValidator(memory_amount)]
"""As `memory_amount`."""
