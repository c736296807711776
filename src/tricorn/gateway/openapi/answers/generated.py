"""Chat completions and completions, whole and in chunks."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel

from tricorn.gateway.openapi.answers.common import Dropped, PromptLogprobs, TokenLogprobs, Usage


class CalledFunction(BaseModel):
    name: str
    arguments: str
    """JSON in a string."""


class AnsweredCall(BaseModel):
    id: str
    type: Literal["function"]
    function: CalledFunction


class AnsweredMessage(BaseModel):
    role: Literal["assistant"]
    content: str | None
    refusal: None
    annotations: list[None]
    """Always empty."""
    reasoning_content: str | None = None
    """The model's thoughts; by `REASONING_FIELD` under either name, or both."""
    reasoning: str | None = None
    tool_calls: list[AnsweredCall] | None = None
    function_call: CalledFunction | None = None
    """In place of `tool_calls` where the request has `functions`."""


class ChatLogprobs(BaseModel):
    content: list[TokenLogprobs]
    refusal: None


class ChatChoice(BaseModel):
    index: int
    message: AnsweredMessage
    logprobs: ChatLogprobs | None
    finish_reason: Literal["stop", "length", "tool_calls", "function_call"] | None


class ChatCompletion(BaseModel):
    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[ChatChoice]
    usage: Usage
    system_fingerprint: str
    prompt_logprobs: PromptLogprobs | None = None
    truncation: Dropped | None = None


class GrownFunction(BaseModel):
    name: str | None = None
    arguments: str


class GrownCall(BaseModel):
    index: int
    id: str | None = None
    type: Literal["function"] | None = None
    function: GrownFunction


class ChatDelta(BaseModel):
    role: Literal["assistant"] | None = None
    content: str | None = None
    refusal: None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    tool_calls: list[GrownCall] | None = None
    function_call: GrownFunction | None = None


class ChatChunkChoice(BaseModel):
    index: int
    delta: ChatDelta
    logprobs: ChatLogprobs | None
    finish_reason: Literal["stop", "length", "tool_calls", "function_call"] | None


class ChatCompletionChunk(BaseModel):
    id: str
    object: Literal["chat.completion.chunk"]
    created: int
    model: str
    system_fingerprint: str
    choices: list[ChatChunkChoice]
    usage: Usage | None = None
    truncation: Dropped | None = None


class TextLogprobs(BaseModel):
    tokens: list[str]
    token_logprobs: list[float | None]
    top_logprobs: list[dict[str, float] | None]
    text_offset: list[int]


class TextChoice(BaseModel):
    index: int
    text: str
    logprobs: TextLogprobs | None
    finish_reason: Literal["stop", "length"] | None
    prompt_logprobs: PromptLogprobs | None = None


class TextCompletion(BaseModel):
    """Whole, or a chunk of a stream."""

    id: str
    object: Literal["text_completion"]
    created: int
    model: str
    choices: list[TextChoice]
    usage: Usage | None = None
    system_fingerprint: str


class RenderedChat(BaseModel):
    object: Literal["chat.completion.prompt"]
    model: str
    prompt: str | None
    prompt_token_ids: list[int]
    count: int
    max_model_len: int
    truncation: Dropped | None = None


class Tokens(BaseModel):
    count: int
    max_model_len: int
    tokens: list[int]
    token_strs: list[str] | None
    truncation: Dropped | None = None


class Detokenized(BaseModel):
    prompt: str
