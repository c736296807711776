"""What answers of several families have, and how errors look."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel


class OpenAIErrorFacts(BaseModel):
    message: str
    type: str
    """invalid_request_error, rate_limit_error or server_error."""
    param: str | None
    """The parameter that is to blame."""
    code: str
    """Stable: to be compared with."""


class OpenAIError(BaseModel):
    """How OpenAI's routes, and all of Tricorn's own, tell errors."""

    error: OpenAIErrorFacts


class AnthropicErrorFacts(BaseModel):
    type: str
    message: str
    param: str | None
    code: str


class AnthropicError(BaseModel):
    """How Anthropic's routes tell errors."""

    type: Literal["error"]
    error: AnthropicErrorFacts
    request_id: str


class OllamaError(BaseModel):
    """How Ollama's routes tell errors."""

    error: str


class PromptTokensDetails(BaseModel):
    cached_tokens: int
    audio_tokens: int


class CompletionTokensDetails(BaseModel):
    reasoning_tokens: int
    audio_tokens: int
    accepted_prediction_tokens: int
    rejected_prediction_tokens: int


class Usage(BaseModel):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptTokensDetails
    completion_tokens_details: CompletionTokensDetails


class PromptUsage(BaseModel):
    """Of what generates nothing."""

    prompt_tokens: int
    total_tokens: int


class Dropped(BaseModel):
    """What `truncation` has dropped of a chat that was too long."""

    dropped_messages: int
    dropped_turns: int
    dropped_tokens: int


class LikelyToken(BaseModel):
    token: str
    logprob: float
    bytes: list[int]


class TokenLogprobs(BaseModel):
    token: str
    logprob: float
    bytes: list[int]
    top_logprobs: list[LikelyToken]


class RankedToken(BaseModel):
    logprob: float
    rank: int | None
    decoded_token: str


PromptLogprobs = list[dict[str, RankedToken] | None]
"""vLLM's: for each token of the prompt, token ids and what is known of them."""


class Progress(BaseModel):
    """An event of a stream of an order: why it takes so long."""

    object: Literal["progress"]
    status: str
    progress: float | None
    """Of the work, 0 to 1."""
    eta_s: float | None
