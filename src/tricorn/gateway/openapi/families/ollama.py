"""Ollama's `/api`"""

from __future__ import annotations

from tricorn.errors import ModelNotFound
from tricorn.gateway.openapi.answers import ollama as answers
from tricorn.gateway.openapi.failures import BODY, DELETION, MANAGER, PULL
from tricorn.gateway.openapi.failures import MODEL as ERRORS
from tricorn.gateway.openapi.operation import (
    MODEL,
    NDJSON,
    Answer,
    Family,
    Operation,
    json,
    json_or_stream,
)
from tricorn.schemas.ollama.models import (
    OllamaDelete,
    OllamaEmbed,
    OllamaEmbeddings,
    OllamaPull,
    OllamaShow,
)
from tricorn.schemas.ollama.request import OllamaChat, OllamaGenerate

_LINES = "As lines with one object each; without `stream` as one object."
_USER = {"role": "user", "content": "Name the capital of France."}


def _not_done(path: str, name: str) -> Operation:
    return Operation(
        "post",
        path,
        name,
        "Always refused: models are files in a folder here",
        answers=(),
        errors=BODY[:2],
    )


FAMILY = Family(
    "Ollama",
    "What Ollama's clients call.",
    (
        Operation(
            "post",
            "/api/chat",
            "ollamaChat",
            "Answer a chat",
            about="Without messages the model is loaded, or unloaded with `keep_alive` 0.",
            body=(OllamaChat,),
            examples={
                "a chat": {"model": MODEL, "messages": [_USER], "stream": False},
                "a stream": {"model": MODEL, "messages": [_USER]},
            },
            answers=(
                json_or_stream(
                    answers.OllamaChatAnswer, answers.OllamaChatAnswer, kind=NDJSON, about=_LINES
                ),
            ),
            errors=ERRORS,
        ),
        Operation(
            "post",
            "/api/generate",
            "ollamaGenerate",
            "Answer a prompt",
            about="Without a prompt the model is loaded, or unloaded with `keep_alive` 0.",
            body=(OllamaGenerate,),
            examples={"a prompt": {"model": MODEL, "prompt": "Why?", "stream": False}},
            answers=(
                json_or_stream(
                    answers.OllamaGenerateAnswer,
                    answers.OllamaGenerateAnswer,
                    kind=NDJSON,
                    about=_LINES,
                ),
            ),
            errors=ERRORS,
        ),
        Operation(
            "post",
            "/api/embed",
            "ollamaEmbed",
            "Vectors of texts",
            body=(OllamaEmbed,),
            examples={"two texts": {"model": MODEL, "input": ["Why?", "Because."]}},
            answers=(json(answers.OllamaVectors),),
            errors=ERRORS,
        ),
        Operation(
            "post",
            "/api/embeddings",
            "ollamaEmbeddings",
            "The vector of a text; the older form",
            body=(OllamaEmbeddings,),
            examples={"a text": {"model": MODEL, "prompt": "Why?"}},
            answers=(json(answers.OllamaVector),),
            errors=ERRORS,
        ),
        Operation(
            "get",
            "/api/tags",
            "ollamaTags",
            "Models that can be asked for",
            answers=(json(answers.OllamaModels),),
            errors=MANAGER,
        ),
        Operation(
            "get",
            "/api/ps",
            "ollamaPs",
            "Models that are loaded",
            answers=(json(answers.OllamaRunning),),
            errors=MANAGER,
        ),
        Operation(
            "post",
            "/api/show",
            "ollamaShow",
            "What is known of a model",
            body=(OllamaShow,),
            examples={"a model": {"model": MODEL}},
            answers=(json(answers.OllamaShown),),
            errors=ERRORS,
        ),
        Operation(
            "get",
            "/api/version",
            "ollamaVersion",
            "The version of Ollama whose API this is",
            answers=(json(answers.OllamaVersion),),
            errors=(),
        ),
        Operation(
            "post",
            "/api/pull",
            "ollamaPull",
            "Download a model",
            body=(OllamaPull,),
            examples={"a model": {"model": "org/name:Q4_K_M", "stream": False}},
            answers=(
                json_or_stream(
                    answers.OllamaStatus, answers.OllamaStatus, kind=NDJSON, about=_LINES
                ),
            ),
            errors=(*BODY, *PULL),
        ),
        Operation(
            "delete",
            "/api/delete",
            "ollamaDelete",
            "Delete a model's files",
            body=(OllamaDelete,),
            examples={"a model": {"model": MODEL}},
            answers=(Answer({}, "Done; the body is empty."),),
            errors=(*BODY, *DELETION, ModelNotFound),
        ),
        _not_done("/api/create", "ollamaCreate"),
        _not_done("/api/copy", "ollamaCopy"),
        _not_done("/api/push", "ollamaPush"),
    ),
)
