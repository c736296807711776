"""`POST /v1/messages` and `POST /v1/messages/count_tokens`"""

from __future__ import annotations

from flask import Blueprint, Response

from tricorn.chat.anthropic.events import MessageEvents
from tricorn.chat.anthropic.message import Message
from tricorn.chat.choice import ToolUse
from tricorn.engines.request import ChatPrompt
from tricorn.gateway import record
from tricorn.gateway.answers import respond, sse
from tricorn.gateway.requests import images
from tricorn.gateway.requests.generation import Job
from tricorn.gateway.requests.incoming import parse
from tricorn.gateway.routes.tokens import tokenized
from tricorn.gateway.services import services
from tricorn.schemas.anthropic.request import CountTokensRequest, MessagesRequest

bp = Blueprint("anthropic", __name__)

REQUEST_ID_HEADER = "request-id"
"""Anthropic's name for it."""


@bp.after_request
def name_request(response: Response) -> Response:
    response.headers[REQUEST_ID_HEADER] = record.current().request_id
    return response


@bp.post("/v1/messages")
def create() -> Response:
    call = parse(MessagesRequest)
    request_id = record.current().request_id
    job = Job(call.model, request_id, [_prompt(call)], call.sampling())
    use = ToolUse(call.offered_tools())
    if call.stream:
        return respond.stream(
            job,
            lambda head: MessageEvents(
                head, max_tokens=call.max_tokens, show_thoughts=call.shows_thoughts, use=use
            ),
            prefix="msg",
            framing=sse.anthropic(request_id),
        )
    return respond.whole(
        job,
        lambda head: Message(
            head, max_tokens=call.max_tokens, show_thoughts=call.shows_thoughts, use=use
        ),
        prefix="msg",
    )


@bp.post("/v1/messages/count_tokens")
def count() -> Response:
    call = parse(CountTokensRequest)
    _, _, tokens = tokenized(
        call.model, _prompt(call), add_special=False, pieces=False, max_tokens=None
    )
    return respond.json({"input_tokens": len(tokens.token_ids)})


def _prompt(call: CountTokensRequest) -> ChatPrompt:
    return call.prompt(images.load(call.image_urls(), services().settings))
