"""What a check finds."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from tricorn.hardware.facts import Facts
from tricorn.place import Place

State = Literal["ok", "warn", "fail"]
"""warn: it works, but not as well as it might, or not all of it; fail: it does not work."""


@dataclass(frozen=True)
class Check:
    """One finding; a row of the table."""

    name: str
    """What was looked at, in a word or two."""
    state: State
    what: str
    """One sentence."""
    fix: str = ""
    """The command, or the deed, that mends it; empty where nothing is wrong."""


Probe = Callable[[Place, Facts], Iterable[Check]]
"""One thing to look at. Gives nothing where it does not concern this machine."""
