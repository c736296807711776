"""Request fields that say whether and how long a model is to think before it answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator

from tricorn.schemas.fields import bad_value, wrong_type
from tricorn.schemas.sampling import across

EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
"""Which of them make a difference is up to the model's template."""

_SWITCHES = ("enable_thinking", "thinking")
"""How templates are told whether to think: Qwen's and GLM's, DeepSeek's and Granite's."""


def _effort(value: object) -> str:
    if not isinstance(value, str):
        raise wrong_type("a string", value)
    if value not in EFFORTS:
        raise bad_value(f"must be one of {', '.join(EFFORTS)}, got {value!r}")
    return value


Effort = Annotated[str, BeforeValidator(_effort)]


def thinking_variables(
    effort: str | None, thinking: bool | None, given: Mapping[str, Any]
) -> dict[str, Any]:
    """Variables for a chat template. given: those of `chat_template_kwargs`, which say the same in
    the template's own words; a contradiction is refused."""
    if thinking is None and effort is not None:
        thinking = effort != "none"
    elif thinking is not None and effort is not None and thinking != (effort != "none"):
        raise across("enable_thinking", "it contradicts 'reasoning_effort'")
    variables: dict[str, Any] = {}
    if effort is not None and effort != "none":
        variables["reasoning_effort"] = effort
    if thinking is not None:
        variables |= dict.fromkeys(_SWITCHES, thinking)
    for name, value in variables.items():
        if name in given and given[name] != value:
            field = "reasoning_effort" if effort is not None else "enable_thinking"
            raise across(field, f"it contradicts 'chat_template_kwargs.{name}'")
    return {**variables, **given}
