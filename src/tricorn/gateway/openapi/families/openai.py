"""`/v1/chat/completions` and `/v1/completions`"""

from __future__ import annotations

from tricorn.gateway.openapi.answers import generated
from tricorn.gateway.openapi.failures import MODEL as ERRORS
from tricorn.gateway.openapi.operation import MODEL, Family, Operation, json_or_stream
from tricorn.schemas.chat import ChatRequest
from tricorn.schemas.completions import CompletionRequest

_USER = {"role": "user", "content": "Name the capital of France."}
_CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
_TOOL = {
    "type": "function",
    "function": {"name": "weather", "description": "The weather in a city.", "parameters": _CITY},
}

FAMILY = Family(
    "OpenAI",
    "What OpenAI's clients call.",
    (
        Operation(
            "post",
            "/v1/chat/completions",
            "createChatCompletion",
            "Answer a chat",
            about="With tools, thoughts, images and structured output, as far as the model can: "
            "`GET /v1/models/{model}/capabilities` tells. A stream ends with `data: [DONE]`.",
            body=(ChatRequest,),
            examples={
                "a chat": {"model": MODEL, "messages": [_USER], "max_tokens": 32},
                "a stream": {
                    "model": MODEL,
                    "messages": [{"role": "system", "content": "Be brief."}, _USER],
                    "max_tokens": 32,
                    "stream": True,
                    "stream_options": {"include_usage": True},
                },
                "tools": {"model": MODEL, "messages": [_USER], "tools": [_TOOL], "max_tokens": 32},
            },
            answers=(
                json_or_stream(generated.ChatCompletion, generated.ChatCompletionChunk, done=True),
            ),
            errors=ERRORS,
        ),
        Operation(
            "post",
            "/v1/completions",
            "createCompletion",
            "Go on with a text",
            about="A stream ends with `data: [DONE]`.",
            body=(CompletionRequest,),
            examples={
                "a text": {"model": MODEL, "prompt": "The capital of France is", "max_tokens": 8},
                "a stream": {"model": MODEL, "prompt": "Once", "max_tokens": 8, "stream": True},
            },
            answers=(
                json_or_stream(generated.TextCompletion, generated.TextCompletion, done=True),
            ),
            errors=ERRORS,
        ),
    ),
)
