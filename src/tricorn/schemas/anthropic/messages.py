"""Anthropic's messages, one model a role."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Tag

from tricorn.schemas.anthropic.blocks import (
    AssistantContent,
    SystemContent,
    UserContent,
    unknown_of,
)
from tricorn.schemas.fields import bad_value, inside, wrong_type
from tricorn.schemas.objects import OpenObject
from tricorn.schemas.request import TAG

_ROLES = ("user", "assistant", "system")


class _Message(OpenObject):
    content: Any

    def unknown(self) -> list[str]:
        return super().unknown() + unknown_of(self.content, "content")


class UserMessage(_Message):
    role: Literal["user"]
    content: UserContent


class AssistantMessage(_Message):
    role: Literal["assistant"]
    content: AssistantContent


class SystemMessage(_Message):
    """An instruction that comes in the middle of a conversation."""

    role: Literal["system"]
    content: SystemContent


def _known_role(value: object) -> object:
    if not isinstance(value, dict):
        raise wrong_type("an object", value)
    role = value.get("role")
    if not isinstance(role, str):
        raise inside(wrong_type("a string", role), "role")
    if role not in _ROLES:
        raise inside(bad_value(f"'{role}' is not one of {', '.join(_ROLES)}"), "role")
    return value


def _tag(value: object) -> str | None:
    return TAG + str(value["role"]) if isinstance(value, dict) else None


_ByRole = Annotated[
    Annotated[UserMessage, Tag(TAG + "user")]
    | Annotated[AssistantMessage, Tag(TAG + "assistant")]
    | Annotated[SystemMessage, Tag(TAG + "system")],
    Discriminator(_tag),
]
Message = Annotated[_ByRole, BeforeValidator(_known_role)]
