"""Arrays of messages that are told apart by their role, as several API families have them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tricorn.schemas.fields import bad_value, inside, wrong_type
from tricorn.schemas.request import TAG


def some_messages(value: object) -> list[Any]:
    """Before validation: at least one message."""
    if not isinstance(value, list):
        raise wrong_type("an array of messages", value)
    if not value:
        raise bad_value("there must be at least one message")
    return value


def has_role(roles: Sequence[str]) -> Callable[[object], dict[str, Any]]:
    """Before validation of a message: it is an object with one of these roles."""

    def check(value: object) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise wrong_type("an object", value)
        role = value.get("role")
        if not isinstance(role, str):
            raise inside(wrong_type("a string", role), "role")
        if role not in roles:
            raise inside(bad_value(f"'{role}' is not one of {', '.join(roles)}"), "role")
        return value

    return check


def role_tag(value: object) -> str | None:
    """For pydantic's Discriminator, where each role's model has the tag TAG + role."""
    return TAG + str(value["role"]) if isinstance(value, dict) else None
