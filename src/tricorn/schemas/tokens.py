"""`POST /tokenize` and `/detokenize`, in vLLM's shape: the requests."""

from __future__ import annotations

from pydantic import Field

from tricorn.schemas.chat import ChatRequest
from tricorn.schemas.fields import Boolean, String, TokenIds
from tricorn.schemas.request import RequestModel


class TokenizeTextRequest(RequestModel):
    model: String = Field(min_length=1)
    prompt: String
    add_special_tokens: Boolean = True
    return_token_strs: Boolean = False


class TokenizeChatRequest(ChatRequest):
    """A chat, with whatever else a request for its completion may have."""

    add_special_tokens: Boolean = False
    """Beside those that the model's template writes."""
    return_token_strs: Boolean = False


class DetokenizeRequest(RequestModel):
    model: String = Field(min_length=1)
    tokens: TokenIds
