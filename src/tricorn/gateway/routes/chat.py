"""`POST /v1/chat/completions`"""

from __future__ import annotations

from flask import Blueprint, Response

from tricorn.chat.chat_completion import ChatChunks, ChatCompletion
from tricorn.gateway import record, respond
from tricorn.gateway.generation import Job
from tricorn.gateway.incoming import parse
from tricorn.schemas.chat import ChatRequest

bp = Blueprint("chat", __name__)


@bp.post("/v1/chat/completions")
def create() -> Response:
    call = parse(ChatRequest)
    logprobs = call.logprobs
    job = Job(call.model, record.current().request_id, [call.prompt()], call.sampling())
    if call.stream:
        return respond.stream(
            job,
            lambda head: ChatChunks(
                head, n=call.n, include_usage=call.include_usage, logprobs=logprobs
            ),
            prefix="chatcmpl",
        )
    return respond.whole(
        job, lambda head: ChatCompletion(head, n=call.n, logprobs=logprobs), prefix="chatcmpl"
    )
