"""`/v1/responses`"""

from __future__ import annotations

from tricorn.errors import PreviousResponseNotFound, ResponseNotFound, UnsupportedParameter
from tricorn.gateway.openapi.answers import responses as answers
from tricorn.gateway.openapi.failures import MODEL as ERRORS
from tricorn.gateway.openapi.failures import NAMED, QUERY, Errors
from tricorn.gateway.openapi.operation import (
    MODEL,
    Family,
    Operation,
    Parameter,
    json,
    json_or_stream,
)
from tricorn.schemas.responses.request import ResponsesRequest

_FOUND: Errors = (ResponseNotFound, *NAMED)
_EXAMPLES = {
    "a question": {
        "model": MODEL,
        "input": "Name the capital of France.",
        "instructions": "Be brief.",
        "max_output_tokens": 24,
    }
}

FAMILY = Family(
    "Responses",
    "OpenAI's Responses API.",
    (
        Operation(
            "post",
            "/v1/responses",
            "createResponse",
            "Answer, and remember the conversation",
            about="A stream has OpenAI's events, each named and numbered; there is no `[DONE]`.",
            body=(ResponsesRequest,),
            examples=_EXAMPLES
            | {"a stream": {"model": MODEL, "input": "Hello!", "stream": True, "store": False}},
            answers=(json_or_stream(answers.Response, answers.ResponseEvent),),
            errors=(*ERRORS, PreviousResponseNotFound),
        ),
        Operation(
            "post",
            "/v1/responses/input_tokens",
            "countResponseInputTokens",
            "Count what a response would send to the model",
            body=(ResponsesRequest,),
            examples=_EXAMPLES,
            answers=(json(answers.InputTokens),),
            errors=(*ERRORS, PreviousResponseNotFound),
        ),
        Operation(
            "get",
            "/v1/responses/{response_id}",
            "getResponse",
            "A stored response",
            parameters=(
                Parameter(
                    "stream",
                    "Only false: it is not streamed again.",
                    {"type": "string", "enum": ["false", "0"]},
                ),
            ),
            answers=(json(answers.Response),),
            errors=(*_FOUND, UnsupportedParameter),
        ),
        Operation(
            "delete",
            "/v1/responses/{response_id}",
            "deleteResponse",
            "Forget a stored response",
            about="Conversations that went through it cannot be continued any more.",
            answers=(json(answers.DeletedResponse),),
            errors=_FOUND,
        ),
        Operation(
            "post",
            "/v1/responses/{response_id}/cancel",
            "cancelResponse",
            "Always refused: nothing runs in the background",
            about="Closing its connection ends a response.",
            answers=(),
            errors=(*_FOUND, *QUERY),
        ),
        Operation(
            "get",
            "/v1/responses/{response_id}/input_items",
            "listResponseInputItems",
            "What a stored response was an answer to",
            parameters=(
                Parameter(
                    "limit",
                    "How many items.",
                    {"type": "integer", "minimum": 1, "maximum": 100, "default": 20},
                ),
                Parameter(
                    "order",
                    "The newest first, or the oldest.",
                    {"type": "string", "enum": ["desc", "asc"], "default": "desc"},
                ),
                Parameter("after", "The id of the item that the page begins behind."),
            ),
            answers=(json(answers.InputItems),),
            errors=(*_FOUND, *QUERY),
        ),
    ),
)
