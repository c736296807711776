"""`POST /tokenize`, `POST /detokenize` and `POST /v1/chat/completions/render`"""

from __future__ import annotations

from flask import Blueprint, Response

from tricorn.engines.spec import LoadedModel
from tricorn.gateway import record
from tricorn.gateway.answers import respond
from tricorn.gateway.requests import images
from tricorn.gateway.requests.call import Ask
from tricorn.gateway.requests.incoming import body, validated
from tricorn.gateway.services import services
from tricorn.schemas.chat import ChatRequest
from tricorn.schemas.tokens import DetokenizeRequest, TokenizeChatRequest, TokenizeTextRequest
from tricorn.worker.protocol import (
    ChatPrompt,
    Detokenize,
    Detokenized,
    Prompt,
    TextPrompt,
    Tokenize,
    Tokenized,
)

bp = Blueprint("tokens", __name__)


@bp.post("/tokenize")
@bp.post("/v1/tokenize")
def tokenize() -> Response:
    """Of a chat where there are `messages`, else of a `prompt`."""
    sent = body()
    call: TokenizeChatRequest | TokenizeTextRequest
    if sent.get("messages") is not None:
        call = validated(TokenizeChatRequest, sent)
        prompt: Prompt = _chat(call)
    else:
        call = validated(TokenizeTextRequest, sent)
        prompt = TextPrompt(call.prompt)
    _, model, tokens = tokenized(
        call.model,
        prompt,
        add_special=call.add_special_tokens,
        pieces=call.return_token_strs,
        max_tokens=call.token_limit() if isinstance(call, TokenizeChatRequest) else None,
        keep_alive_s=call.keep_alive if isinstance(call, TokenizeChatRequest) else None,
    )
    pieces = tokens.pieces
    strings = None if pieces is None else [piece.decode("utf-8", "replace") for piece in pieces]
    return respond.json(
        {
            "count": len(tokens.token_ids),
            "max_model_len": model.context_length,
            "tokens": tokens.token_ids,
            "token_strs": strings,
            **_truncation(tokens),
        }
    )


@bp.post("/detokenize")
@bp.post("/v1/detokenize")
def detokenize() -> Response:
    call = validated(DetokenizeRequest, body())
    request_id = record.current().request_id
    answer = respond.answered(
        Ask(call.model, request_id, lambda number: Detokenize(number, request_id, call.tokens))
    )
    (text,) = answer.parts
    assert isinstance(text, Detokenized)
    return respond.json({"prompt": text.text})


@bp.post("/v1/chat/completions/render")
def render() -> Response:
    """What the model would be sent for this chat completion."""
    call = validated(ChatRequest, body())
    model_id, model, tokens = tokenized(
        call.model,
        _chat(call),
        add_special=False,
        pieces=False,
        max_tokens=call.token_limit(),
        keep_alive_s=call.keep_alive,
    )
    return respond.json(
        {
            "object": "chat.completion.prompt",
            "model": model_id,
            "prompt": tokens.text,
            "prompt_token_ids": tokens.token_ids,
            "count": len(tokens.token_ids),
            "max_model_len": model.context_length,
            **_truncation(tokens),
        }
    )


def _truncation(tokens: Tokenized) -> dict[str, dict[str, int]]:
    return {} if tokens.truncated is None else {"truncation": tokens.truncated.told()}


def _chat(call: ChatRequest) -> ChatPrompt:
    return call.prompt(images.load(call.image_urls(), services().settings))


def tokenized(
    model: str,
    prompt: Prompt,
    *,
    add_special: bool,
    pieces: bool,
    max_tokens: int | None,
    keep_alive_s: float | None = None,
) -> tuple[str, LoadedModel, Tokenized]:
    """The model's id, the model and what it makes of the prompt."""
    request_id = record.current().request_id
    answer = respond.answered(
        Ask(
            model,
            request_id,
            lambda number: Tokenize(number, request_id, prompt, add_special, pieces, max_tokens),
            keep_alive_s=keep_alive_s,
        )
    )
    (tokens,) = answer.parts
    assert isinstance(tokens, Tokenized)
    return answer.model_id, answer.model, tokens
