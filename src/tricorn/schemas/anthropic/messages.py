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
from tricorn.schemas.objects import OpenObject
from tricorn.schemas.request import TAG
from tricorn.schemas.roles import has_role, role_tag

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


_ByRole = Annotated[
    Annotated[UserMessage, Tag(TAG + "user")]
    | Annotated[AssistantMessage, Tag(TAG + "assistant")]
    | Annotated[SystemMessage, Tag(TAG + "system")],
    Discriminator(role_tag),
]
Message = Annotated[_ByRole, BeforeValidator(has_role(_ROLES))]
