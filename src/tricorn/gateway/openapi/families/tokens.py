"""Tokens, and chats as the model would be sent them"""

from __future__ import annotations

from tricorn.gateway.openapi.answers import generated
from tricorn.gateway.openapi.failures import MODEL as ERRORS
from tricorn.gateway.openapi.operation import MODEL, Family, Operation, json
from tricorn.schemas.chat import ChatRequest
from tricorn.schemas.tokens import DetokenizeRequest, TokenizeChatRequest, TokenizeTextRequest

_CHAT = {"model": MODEL, "messages": [{"role": "user", "content": "Hello!"}]}


def _tokenize(path: str, name: str) -> Operation:
    return Operation(
        "post",
        path,
        name,
        "The tokens of a text or a chat",
        body=(TokenizeTextRequest, TokenizeChatRequest),
        examples={
            "a text": {"model": MODEL, "prompt": "Hello!", "return_token_strs": True},
            "a chat": _CHAT,
        },
        answers=(json(generated.Tokens),),
        errors=ERRORS,
    )


def _detokenize(path: str, name: str) -> Operation:
    return Operation(
        "post",
        path,
        name,
        "The text of tokens",
        body=(DetokenizeRequest,),
        examples={"some tokens": {"model": MODEL, "tokens": [72, 105]}},
        answers=(json(generated.Detokenized),),
        errors=ERRORS,
    )


FAMILY = Family(
    "Tokens",
    "What texts are to a model, in vLLM's shape.",
    (
        _tokenize("/tokenize", "tokenize"),
        _tokenize("/v1/tokenize", "tokenizeV1"),
        _detokenize("/detokenize", "detokenize"),
        _detokenize("/v1/detokenize", "detokenizeV1"),
        Operation(
            "post",
            "/v1/chat/completions/render",
            "renderChatCompletion",
            "What the model would be sent for a chat completion",
            body=(ChatRequest,),
            examples={"a chat": _CHAT},
            answers=(json(generated.RenderedChat),),
            errors=ERRORS,
        ),
    ),
)
