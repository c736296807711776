"""`/v1/messages`"""

from __future__ import annotations

from tricorn.gateway.openapi.answers import anthropic as answers
from tricorn.gateway.openapi.failures import MODEL as ERRORS
from tricorn.gateway.openapi.operation import MODEL, Family, Operation, json, json_or_stream
from tricorn.schemas.anthropic.request import CountTokensRequest, MessagesRequest

_CHAT = {
    "model": MODEL,
    "system": "Be brief.",
    "messages": [{"role": "user", "content": "Name the capital of France."}],
}

FAMILY = Family(
    "Anthropic",
    "What Anthropic's clients call.",
    (
        Operation(
            "post",
            "/v1/messages",
            "createMessage",
            "Answer a chat",
            body=(MessagesRequest,),
            examples={
                "a chat": _CHAT | {"max_tokens": 32},
                "a stream": _CHAT | {"max_tokens": 32, "stream": True},
            },
            answers=(json_or_stream(answers.AnthropicMessage, answers.AnthropicEvent),),
            errors=ERRORS,
        ),
        Operation(
            "post",
            "/v1/messages/count_tokens",
            "countMessageTokens",
            "Count what a message would send to the model",
            body=(CountTokensRequest,),
            examples={"a chat": _CHAT},
            answers=(json(answers.CountedTokens),),
            errors=ERRORS,
        ),
    ),
)
