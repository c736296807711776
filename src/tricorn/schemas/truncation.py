"""The request field that says what is to become of a chat that is too long."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator

from tricorn.schemas.fields import bad_value, wrong_type


def _truncation(value: object) -> str:
    if not isinstance(value, str):
        raise wrong_type("a string", value)
    if value not in ("auto", "disabled"):
        raise bad_value(f"must be auto or disabled, got {value!r}")
    return value


Truncation = Annotated[Literal["auto", "disabled"], BeforeValidator(_truncation)]
"""auto: its oldest turns are dropped; disabled: it is refused."""
