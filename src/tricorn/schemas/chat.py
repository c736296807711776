"""`POST /v1/chat/completions`: the request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Self

from pydantic import BeforeValidator, Field, model_validator

from tricorn.schemas.fields import Boolean, Integer, JsonObject, bad_value, wrong_type
from tricorn.schemas.messages import AssistantMessage, Message
from tricorn.schemas.parameters import CHAT, Rule
from tricorn.schemas.sampling import GenerationRequest, across
from tricorn.worker.protocol import ChatPrompt


def _some(value: object) -> list[Any]:
    if not isinstance(value, list):
        raise wrong_type("an array of messages", value)
    if not value:
        raise bad_value("there must be at least one message")
    return value


class ChatRequest(GenerationRequest):
    rules: ClassVar[Mapping[str, Rule]] = CHAT

    messages: Annotated[list[Message], BeforeValidator(_some)]
    max_tokens: Integer | None = Field(None, ge=1, lt=2**31)
    max_completion_tokens: Integer | None = Field(None, ge=1, lt=2**31)
    logprobs: Boolean = False
    top_logprobs: Integer | None = Field(None, ge=0, le=20)

    chat_template_kwargs: JsonObject = {}
    add_generation_prompt: Boolean | None = None
    """None: as `continue_final_message` needs it."""
    continue_final_message: Boolean = False

    @model_validator(mode="after")
    def _chat_fields_agree(self) -> Self:
        if None not in (self.max_tokens, self.max_completion_tokens) and (
            self.max_tokens != self.max_completion_tokens
        ):
            raise across(
                "max_tokens", "it differs from 'max_completion_tokens'; please send one of them"
            )
        if self.top_logprobs is not None and not self.logprobs:
            raise across("top_logprobs", "it is only allowed when 'logprobs' is true")
        if self.continue_final_message:
            if self.add_generation_prompt:
                raise across(
                    "add_generation_prompt", "it cannot be true with 'continue_final_message'"
                )
            if not isinstance(self.messages[-1], AssistantMessage):
                raise across("continue_final_message", "the last message must be the assistant's")
        return self

    def token_limit(self) -> int | None:
        return self.max_tokens if self.max_completion_tokens is None else self.max_completion_tokens

    def logprob_count(self) -> int | None:
        return (self.top_logprobs or 0) if self.logprobs else None

    def prompt(self) -> ChatPrompt:
        generation_prompt = self.add_generation_prompt
        if generation_prompt is None:
            generation_prompt = not self.continue_final_message
        return ChatPrompt(
            messages=[message.template_form() for message in self.messages],
            add_generation_prompt=generation_prompt,
            continue_final_message=self.continue_final_message,
            template_kwargs=self.chat_template_kwargs,
        )

    def unknown_inside(self) -> list[str]:
        found = super().unknown_inside()
        for position, message in enumerate(self.messages):
            found += [f"messages[{position}].{name}" for name in message.unknown()]
        return found
