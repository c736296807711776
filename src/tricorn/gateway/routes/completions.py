"""`POST /v1/completions`"""

from __future__ import annotations

from flask import Blueprint, Response

from tricorn.chat.text_completion import TextChunks, TextCompletion
from tricorn.gateway import record
from tricorn.gateway.answers import respond
from tricorn.gateway.requests.generation import Job
from tricorn.gateway.requests.incoming import parse
from tricorn.schemas.completions import CompletionRequest

bp = Blueprint("completions", __name__)


@bp.post("/v1/completions")
def create() -> Response:
    call = parse(CompletionRequest)
    prompts = call.prompts()
    logprobs = call.logprobs is not None
    job = Job(
        call.model,
        record.current().request_id,
        prompts,
        call.sampling(),
        echo=call.echo,
        priority=call.priority,
        prompt_logprobs=call.prompt_logprob_count(),
        keep_alive_s=call.keep_alive,
    )
    if call.stream:
        return respond.stream(
            job,
            lambda head: TextChunks(
                head,
                n=call.n,
                prompts=len(prompts),
                include_usage=call.include_usage,
                continuous_usage=call.continuous_usage,
                logprobs=logprobs,
                echo=call.echo,
                echo_logprobs=call.echo_logprobs,
            ),
            prefix="cmpl",
        )
    return respond.whole(
        job,
        lambda head: TextCompletion(
            head,
            n=call.sequences,
            best=call.n if call.sequences > call.n else None,
            prompts=len(prompts),
            logprobs=logprobs,
            echo=call.echo,
            echo_logprobs=call.echo_logprobs,
            prompt_logprobs=call.prompt_logprobs,
        ),
        prefix="cmpl",
    )
