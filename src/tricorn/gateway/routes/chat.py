"""`POST /v1/chat/completions`"""

from __future__ import annotations

from flask import Blueprint, Response

from tricorn.chat.chat_completion import ChatChunks, ChatCompletion
from tricorn.chat.choice import ToolUse
from tricorn.chat.reasoning import FIELDS
from tricorn.gateway import record
from tricorn.gateway.answers import respond
from tricorn.gateway.guard import access
from tricorn.gateway.requests import images
from tricorn.gateway.requests.generation import Job
from tricorn.gateway.requests.incoming import parse
from tricorn.gateway.services import services
from tricorn.schemas.chat import ChatRequest

bp = Blueprint("chat", __name__)


@bp.post("/v1/chat/completions")
def create() -> Response:
    call = parse(ChatRequest)
    logprobs = call.logprobs
    thoughts = FIELDS[access.reasoning_field() or services().settings.reasoning_field]
    use = ToolUse(call.offered_tools(), legacy=bool(call.functions))
    job = Job(
        call.model,
        record.current().request_id,
        [call.prompt(images.load(call.image_urls(), services().settings))],
        call.sampling(),
        priority=call.priority,
        prompt_logprobs=call.prompt_logprob_count(),
        keep_alive_s=call.keep_alive,
    )
    if call.stream:
        return respond.stream(
            job,
            lambda head: ChatChunks(
                head,
                n=call.n,
                include_usage=call.include_usage,
                continuous_usage=call.continuous_usage,
                logprobs=logprobs,
                use=use,
                thoughts=thoughts,
            ),
            prefix="chatcmpl",
        )
    return respond.whole(
        job,
        lambda head: ChatCompletion(
            head,
            n=call.n,
            logprobs=logprobs,
            prompt_logprobs=call.prompt_logprobs,
            use=use,
            thoughts=thoughts,
        ),
        prefix="chatcmpl",
    )
