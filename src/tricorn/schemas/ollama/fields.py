"""Fields that the requests of Ollama's API share."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import PlainValidator

from tricorn.engines.request import Constraint
from tricorn.schemas.constraints import schema_text
from tricorn.schemas.fields import bad_value, wrong_type

EFFORTS = ("low", "medium", "high", "max")


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


Think = Annotated[
    bool | str,
    PlainValidator(_think, json_schema_input_type=bool | Literal["low", "medium", "high", "max"]),
]
Format = Annotated[
    Constraint | None,
    PlainValidator(_format, json_schema_input_type=Literal["json", ""] | dict[str, Any]),
]
