"""Field types that request models share: strict about types, lenient where real clients need it.

Integers may come as numeric strings ("5", which Dify sends); booleans are never numbers.
`json_schema_input_type` says what a field looks like before its validator has made something else
of it: the description of the API has it from there.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from tricorn.settings.quantities import seconds

MAX_STOPS = 16
MAX_NESTING = 64
"""Levels of JSON inside a value that is handed on whole; templates and msgpack recurse into it."""
INT64 = 2**63

_NUMERIC = re.compile(r"[+-]?[0-9]{1,19}")


def wrong_type(expected: str, value: object) -> PydanticCustomError:
    """What a validator raises when `value` is not of a usable JSON type."""
    return PydanticCustomError(
        "wrong_type", "expected {expected}, got {got}", {"expected": expected, "got": kind(value)}
    )


def bad_value(text: str) -> PydanticCustomError:
    """What a validator raises when a value's type is right and the value is not."""
    return PydanticCustomError("bad_value", "{text}", {"text": text})


def unsupported(text: str) -> PydanticCustomError:
    """What a validator raises for something that OpenAI knows and this version cannot do."""
    return PydanticCustomError("unsupported", "{text}", {"text": text})


def across(param: str, text: str) -> PydanticCustomError:
    """What a check that looks at several fields raises; `param` is the one to name."""
    return PydanticCustomError("bad_value", "{text}", {"text": text, "param": param})


def inside(error: PydanticCustomError, where: int | str) -> PydanticCustomError:
    """The same error, of an item or field of the value that was validated as a whole."""
    context = error.context or {}
    context = {**context, "inside": (where, *context.get("inside", ()))}
    return PydanticCustomError(error.type, error.message_template, context)


def kind(value: object) -> str:
    """The JSON name of a value's type, with its article."""
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int():
            return "an integer"
        case float():
            return "a number"
        case str():
            return "a string"
        case list():
            return "an array"
        case _:
            return "an object"


def to_int(value: object) -> int:
    if isinstance(value, bool):
        raise wrong_type("an integer", value)
    # JSON has one kind of number: 5.0 is an integer there.
    if isinstance(value, float) and value.is_integer():
        # Beyond 64 bits it was read with a double's precision: what was sent is not known exactly.
        if abs(value) >= INT64:
            raise _beyond(f"about {value:.6g}")
        value = int(value)
    elif isinstance(value, str) and _NUMERIC.fullmatch(value.strip()):
        value = int(value)
    if not isinstance(value, int):
        raise wrong_type("an integer", value)
    if not -INT64 <= value < INT64:
        raise _beyond(str(value))
    return value


def _beyond(shown: str) -> PydanticCustomError:
    return bad_value(f"must be an integer of 64 bits, {-INT64} to {INT64 - 1}, got {shown}")


def to_number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise wrong_type("a number", value)
    if not math.isfinite(value):
        raise bad_value("must be a finite number")
    return float(value)


def to_keep_alive(value: object) -> float:
    """As `quantities.seconds`, with errors of requests."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise wrong_type("a number of seconds or a duration such as '5m'", value)
    try:
        return seconds(value if isinstance(value, str) else to_number(value))
    except ValueError as error:
        raise bad_value(str(error)) from error


def to_bool(value: object) -> bool:
    if not isinstance(value, bool):
        raise wrong_type("a boolean", value)
    return value


def to_str(value: object) -> str:
    if not isinstance(value, str):
        raise wrong_type("a string", value)
    return value


def one_of(known: Sequence[str]) -> BeforeValidator:
    """A string that is one of these."""

    def check(value: object) -> str:
        if not isinstance(value, str):
            raise wrong_type("a string", value)
        if value not in known:
            raise bad_value(f"must be one of {', '.join(known)}, got {value!r}")
        return value

    as_sent = Annotated[str, WithJsonSchema({"type": "string", "enum": list(known)})]
    return BeforeValidator(check, json_schema_input_type=as_sent)


def without_nulls(value: object) -> object:
    """An object without the fields that are null, for they mean absence; else `value`."""
    if isinstance(value, dict):
        return {name: item for name, item in value.items() if item is not None}
    return value


def _object(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise wrong_type("an object", value)
    if deeper_than(value, MAX_NESTING):
        raise bad_value(f"is nested more than {MAX_NESTING} levels deep")
    return value


def deeper_than(value: object, levels: int) -> bool:
    row: list[object] = [value]
    for _ in range(levels + 1):
        below: list[object] = []
        for item in row:
            if isinstance(item, dict):
                below.extend(item.values())
            elif isinstance(item, list):
                below.extend(item)
        if not below:
            return False
        row = below
    return True


def _stop(value: object) -> list[str]:
    stops = [value] if isinstance(value, str) else value
    if not isinstance(stops, list):
        raise wrong_type("a string or an array of strings", value)
    for stop in stops:
        if not isinstance(stop, str):
            raise wrong_type("an array of strings", stop)
        if not stop:
            raise bad_value("a stop string cannot be empty")
    if len(stops) > MAX_STOPS:
        raise bad_value(f"at most {MAX_STOPS} stop strings, got {len(stops)}")
    return stops


def _logit_bias(value: object) -> dict[int, float]:
    if not isinstance(value, dict):
        raise wrong_type("an object of token ids", value)
    bias: dict[int, float] = {}
    for key, amount in value.items():
        if not (isinstance(key, str) and key.isascii() and key.isdigit() and len(key) < 10):
            raise bad_value(f"its keys are token ids, got {key!r}")
        number = to_number(amount)
        if not -100 <= number <= 100:
            raise bad_value(f"the bias of token {key} must be from -100 to 100, got {amount}")
        bias[int(key)] = number
    return bias


def _token_ids(value: object) -> list[int]:
    if not isinstance(value, list):
        raise wrong_type("an array of token ids", value)
    ids = [to_int(item) for item in value]
    if any(not 0 <= token < 2**31 for token in ids):
        raise bad_value("token ids cannot be negative or beyond 2147483647")
    return ids


Integer = Annotated[int, BeforeValidator(to_int)]
Number = Annotated[float, BeforeValidator(to_number)]
KeepAlive = Annotated[float, BeforeValidator(to_keep_alive, json_schema_input_type=float | str)]
"""Seconds; FOREVER for ever."""
Boolean = Annotated[bool, BeforeValidator(to_bool)]
String = Annotated[str, BeforeValidator(to_str)]
JsonObject = Annotated[dict[str, Any], BeforeValidator(_object)]
Stop = Annotated[list[str], BeforeValidator(_stop, json_schema_input_type=str | list[str])]
LogitBias = Annotated[
    dict[int, float], BeforeValidator(_logit_bias, json_schema_input_type=dict[str, float])
]
TokenIds = Annotated[list[int], BeforeValidator(_token_ids)]
