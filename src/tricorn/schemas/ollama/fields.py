"""Fields that the requests of Ollama's API share."""

from __future__ import annotations

import math
import re
from typing import Annotated

from pydantic import BeforeValidator, PlainValidator

from tricorn.engines.request import Constraint
from tricorn.schemas.constraints import schema_text
from tricorn.schemas.fields import bad_value, to_number, wrong_type

EFFORTS = ("low", "medium", "high", "max")

_UNITS_S = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_NUMBER = re.compile(r"[+-]?[0-9]+(?:\.[0-9]*)?")
_PART = re.compile(r"([0-9]+(?:\.[0-9]*)?)(ns|us|µs|ms|s|m|h)")


def _keep_alive(value: object) -> float:
    """Seconds: a number, or Go's notation ("5m", "1h30m"). Below 0: for ever."""
    if not isinstance(value, str):
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise wrong_type("a number of seconds or a duration such as '5m'", value)
        return to_number(value)
    text = value.strip()
    if _NUMBER.fullmatch(text):
        return float(text)
    sign = -1.0 if text.startswith("-") else 1.0
    parts = text.lstrip("+-")
    if not parts or _PART.sub("", parts):
        raise bad_value(f"{value!r} is no duration; write seconds, or '5m', '1h30m', '-1'")
    seconds = sum(float(number) * _UNITS_S[unit] for number, unit in _PART.findall(parts))
    if not math.isfinite(seconds):
        raise bad_value("must be a finite duration")
    return sign * seconds


def _think(value: object) -> bool | str:
    if isinstance(value, bool):
        return value
    if not isinstance(value, str):
        raise wrong_type("a boolean or a string", value)
    if value not in EFFORTS:
        raise bad_value(f"must be true, false or one of {', '.join(EFFORTS)}, got {value!r}")
    return value


def _format(value: object) -> Constraint | None:
    if value == "":
        return None
    if value == "json":
        return Constraint("json_object", param="format")
    if isinstance(value, str):
        raise bad_value(f"must be 'json' or a JSON schema as an object, got {value!r}")
    return Constraint("json_schema", schema_text(value), "format")


KeepAlive = Annotated[float, BeforeValidator(_keep_alive)]
Think = Annotated[bool | str, PlainValidator(_think)]
Format = Annotated[Constraint | None, PlainValidator(_format)]
