"""Anthropic's Messages API, and its list of models."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel


class AnthropicText(BaseModel):
    type: Literal["text"]
    text: str
    citations: None


class AnthropicThinking(BaseModel):
    type: Literal["thinking"]
    thinking: str
    signature: str


class AnthropicToolUse(BaseModel):
    type: Literal["tool_use"]
    id: str
    name: str
    input: dict[str, Any]


class ThinkingTokens(BaseModel):
    thinking_tokens: int


class AnthropicUsage(BaseModel):
    input_tokens: int
    """Without those that were found in the prefix cache."""
    cache_creation_input_tokens: int
    cache_read_input_tokens: int
    output_tokens: int
    output_tokens_details: ThinkingTokens
    service_tier: Literal["standard"]


class AnthropicMessage(BaseModel):
    id: str
    type: Literal["message"]
    role: Literal["assistant"]
    model: str
    content: list[AnthropicText | AnthropicThinking | AnthropicToolUse]
    stop_reason: str | None
    """end_turn, max_tokens, model_context_window_exceeded, stop_sequence or tool_use."""
    stop_sequence: str | None
    usage: AnthropicUsage


class AnthropicEvent(BaseModel):
    """An event of a stream: `message_start` and so on. What else it has depends on its type, as
    with Anthropic."""

    type: str


class CountedTokens(BaseModel):
    input_tokens: int


class AnthropicModel(BaseModel):
    type: Literal["model"]
    id: str
    display_name: str
    created_at: str
    lifecycle: Literal["active"]
    max_input_tokens: int | None
    max_tokens: int | None


class AnthropicModels(BaseModel):
    data: list[AnthropicModel]
    has_more: bool
    first_id: str | None
    last_id: str | None
