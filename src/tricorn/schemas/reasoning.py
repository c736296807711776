"""Request fields that say whether and how long a model is to think before it answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator

from tricorn.schemas.fields import bad_value, one_of, to_int
from tricorn.schemas.sampling import across

EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
"""Which of them make a difference is up to the model's template."""

SWITCHES = ("enable_thinking", "thinking")
"""How templates are told whether to think: Qwen's and GLM's, DeepSeek's and Granite's."""


VERBOSITIES = ("low", "medium", "high")


Effort = Annotated[str, one_of(EFFORTS)]
Verbosity = Annotated[str, one_of(VERBOSITIES)]


BUDGET_NAMES = ("thinking_token_budget", "thinking_budget_tokens", "reasoning_budget_tokens")
"""What vLLM and llama-server call `thinking_budget`."""


def _budget(value: object) -> int | None:
    tokens = to_int(value)
    if not -1 <= tokens < 2**31:
        raise bad_value(f"must be a number of tokens, or -1 for no limit, got {tokens}")
    return None if tokens == -1 else tokens


Budget = Annotated[int | None, BeforeValidator(_budget)]


def thinking_variables(
    effort: str | None,
    thinking: bool | None,
    given: Mapping[str, Any],
    *,
    effort_field: str = "reasoning_effort",
    budget: int | None = None,
) -> dict[str, Any]:
    """Variables for a chat template. given: those of `chat_template_kwargs`, which say the same in
    the template's own words; a contradiction is refused. effort_field: where `effort` came in.
    budget: tokens that may be thought; none at all is the same as not to think."""
    if budget == 0:
        if thinking or effort not in (None, "none"):
            field = "enable_thinking" if thinking else effort_field
            raise across("thinking_budget", f"0 contradicts '{field}'")
        thinking = False
    if thinking is None and effort is not None:
        thinking = effort != "none"
    elif thinking is not None and effort is not None and thinking != (effort != "none"):
        raise across("enable_thinking", f"it contradicts '{effort_field}'")
    variables: dict[str, Any] = {}
    if effort is not None and effort != "none":
        variables["reasoning_effort"] = effort
    if thinking is not None:
        variables |= dict.fromkeys(SWITCHES, thinking)
    if budget is not None:
        # Some models are told how long they may think.
        variables["thinking_budget"] = budget
    for name, value in variables.items():
        if name in given and given[name] != value:
            field = effort_field if effort is not None else "enable_thinking"
            if name == "thinking_budget" or budget == 0:
                field = "thinking_budget"
            raise across(field, f"it contradicts 'chat_template_kwargs.{name}'")
    return {**variables, **given}
