"""What is wrong with settings, in a line for each."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import ValidationError

from tricorn.settings.file import SECTIONS, nearest
from tricorn.settings.model_settings import ModelDefaults, ModelSettings

SECRET = ("api_keys", "jwt_secret", "hf_token", "env", "http_proxy", "https_proxy")
"""Settings whose values are not repeated."""


def explained(error: ValidationError, settings: Iterable[str]) -> list[str]:
    """settings: the names of all."""
    lines = []
    for item in error.errors():
        place = [str(part) for part in item["loc"] if part != "[key]"]
        name = ".".join(
            ["models", "defaults", *place[1:]] if place[:1] == ["model_defaults"] else place
        )
        if item["type"] == "extra_forbidden":
            near = nearest(place[-1], _known(place, settings))
            lines.append(f"{name}: no such setting" + (f"; did you mean {near}?" if near else ""))
            continue
        why = item["msg"].removeprefix("Value error, ")
        if place and item["type"] != "value_error" and not set(place) & set(SECRET):
            why += f" (got {item['input']!r})"
        lines.append(f"{name}: {why}" if name else why)
    return lines


def _known(place: list[str], settings: Iterable[str]) -> list[str]:
    """The names that there are beside the last part of `place`."""
    if len(place) == 1:
        return [*settings, *SECTIONS]
    return list((ModelSettings if place[0] == "models" else ModelDefaults).model_fields)
