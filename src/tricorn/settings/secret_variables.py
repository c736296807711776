"""Variables of the environment that hold the server's own secrets.

Its child processes inherit the environment: those that run engines, which load files from anywhere
and take texts from anybody, have no use for them.
"""

from __future__ import annotations

from collections.abc import Mapping

OF_KEYS = ("API_KEYS", "JWT_SECRET", "TRICORN_API_KEY")
OF_THE_HUB = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_TOKEN_PATH")
OF_TRACES = ("OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS")
"""By which a collector knows who sends."""
_SPELLED = {name.casefold() for name in (*OF_KEYS, *OF_THE_HUB, *OF_TRACES)}
_KEYS_SPELLED = {name.casefold() for name in (*OF_KEYS, *OF_TRACES)}


def without(environment: Mapping[str, str], *, but_the_hubs: bool = False) -> dict[str, str]:
    """A copy that lacks them, however they are spelled. but_the_hubs: those may stay."""
    left_out = _KEYS_SPELLED if but_the_hubs else _SPELLED
    return {name: value for name, value in environment.items() if name.casefold() not in left_out}
