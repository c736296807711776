"""What a request says about tool calls, beside the tools themselves."""

from __future__ import annotations

import msgspec


class ToolRules(msgspec.Struct, frozen=True, omit_defaults=True):
    required: bool = False
    """The answer is a call."""
    only: tuple[str, ...] | None = None
    """Names of the tools that may be called; None: all."""
    parallel: bool = True
    """There may be several calls in an answer."""
    param: str = "tools"
    """The request's field to name where this cannot be done."""
