"""Which names a model may be given: in settings, in requests, as an alias."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator

MAX_LENGTH = 400


def checked(name: str) -> str:
    """The name itself; ValueError with what is wrong with it.

    Slashes and colons are fine. What would lead out of a folder, or not be seen in a list, is not.
    """
    if not name.strip():
        raise ValueError("a model's name must not be empty")
    if len(name) > MAX_LENGTH:
        raise ValueError(f"a model's name has at most {MAX_LENGTH} characters")
    if not name.isprintable():
        raise ValueError(f"a model's name must not have control characters, got {name!r}")
    if name != name.strip():
        raise ValueError(f"a model's name must not begin or end with a space, got {name!r}")
    if name.startswith(("/", "\\")):
        raise ValueError(f"a model's name must not begin with a slash, got {name!r}")
    if ".." in re.split(r"[/\\]", name):
        raise ValueError(f"a model's name must not have '..' for a part, got {name!r}")
    return name


ModelName = Annotated[str, AfterValidator(checked)]


def hub_id(name: str) -> str:
    """ORG/NAME or ORG/NAME:QUANT as it is; ValueError for anything else."""
    checked(name)
    if not re.fullmatch(r"[\w.-]+/[\w.-]+(:[\w.-]+)?", name, re.ASCII):
        raise ValueError(f"must be a hub id such as ORG/NAME or ORG/NAME:QUANT, got {name!r}")
    return name


HubId = Annotated[str, AfterValidator(hub_id)]
