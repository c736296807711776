"""`/v1/responses`"""

from __future__ import annotations

from typing import Any, NoReturn

from flask import Blueprint, Response, request

from tricorn.errors import InvalidRequest, RequestError, ResponseNotFound, UnsupportedParameter
from tricorn.gateway import record
from tricorn.gateway.answers import respond
from tricorn.gateway.answers.responding import Answering, Conversation, in_our_words
from tricorn.gateway.guard import access
from tricorn.gateway.requests import query
from tricorn.gateway.requests.call import Ask
from tricorn.gateway.requests.generation import Job
from tricorn.gateway.requests.incoming import parse
from tricorn.gateway.services import services
from tricorn.schemas.responses.request import ResponsesRequest
from tricorn.storage.responses import Missing, ResponseStore
from tricorn.worker.protocol import Tokenize, Tokenized

bp = Blueprint("responses", __name__)

MAX_PAGE = 100
PAGE = 20


@bp.post("/v1/responses")
def create() -> Response:
    call = parse(ResponsesRequest)
    store = _store()
    conversation = Conversation(call, store, services().settings)
    job = Job(
        call.model,
        record.current().request_id,
        [conversation.prompt()],
        call.sampling(),
        priority=call.priority,
    )
    return Answering(call, conversation.sent(), job, store).answer()


@bp.post("/v1/responses/input_tokens")
def count() -> Response:
    """Of what the model would be sent for this request."""
    call = parse(ResponsesRequest)
    prompt = Conversation(call, _store(), services().settings).prompt()
    request_id = record.current().request_id
    limit = call.max_output_tokens
    try:
        answer = respond.answered(
            Ask(
                call.model,
                request_id,
                lambda number: Tokenize(number, request_id, prompt, False, False, limit),
            )
        )
    except RequestError as error:
        raise in_our_words(error) from error
    (tokens,) = answer.parts
    assert isinstance(tokens, Tokenized)
    return respond.json({"object": "response.input_tokens", "input_tokens": len(tokens.token_ids)})


@bp.get("/v1/responses/<response_id>")
def show(response_id: str) -> Response:
    if request.args.get("stream", "false").lower() not in ("false", "0", ""):
        raise UnsupportedParameter(
            "A stored response is not streamed again; ask for it without 'stream'.",
            param="stream",
        )
    try:
        return respond.json(_store().get(response_id).response)
    except Missing:
        _not_found(response_id)


@bp.delete("/v1/responses/<response_id>")
def delete(response_id: str) -> Response:
    try:
        _store().delete(response_id)
    except Missing:
        _not_found(response_id)
    return respond.json({"id": response_id, "object": "response", "deleted": True})


@bp.post("/v1/responses/<response_id>/cancel")
def cancel(response_id: str) -> Response:
    try:
        _store().get(response_id)
    except Missing:
        _not_found(response_id)
    raise InvalidRequest(
        "Only responses that run in the background can be cancelled, and there are none here: "
        "close the connection to end one that is running."
    )


@bp.get("/v1/responses/<response_id>/input_items")
def input_items(response_id: str) -> Response:
    """All that the response was an answer to: the turns before it, and what came in."""
    limit, newest_first, after = _page()
    try:
        *before, last = _store().turns(response_id)
    except Missing as error:
        if error.response_id == response_id:
            _not_found(response_id)
        # What was before it is gone; its own input is there.
        before, last = [], _store().get(response_id)
    items: list[dict[str, Any]] = []
    for turn in before:
        items += turn.input + turn.response["output"]
    items += last.input
    if newest_first:
        items.reverse()
    if after is not None:
        places = [place for place, item in enumerate(items) if item["id"] == after]
        if not places:
            raise InvalidRequest(
                f"Invalid value for 'after': there is no item '{after}' in this response's input.",
                param="after",
            )
        items = items[places[0] + 1 :]
    page = items[:limit]
    return respond.json(
        {
            "object": "list",
            "data": page,
            "first_id": page[0]["id"] if page else None,
            "last_id": page[-1]["id"] if page else None,
            "has_more": len(items) > limit,
        }
    )


def _store() -> ResponseStore:
    """As the request's key has it: another key's responses are not there."""
    return services().responses.of(access.key_id())


def _page() -> tuple[int, bool, str | None]:
    """(limit, newest first, after)"""
    limit = query.count(request.args, "limit", PAGE, MAX_PAGE)
    order = request.args.get("order", "desc")
    if order not in ("asc", "desc"):
        raise InvalidRequest(
            f"Invalid value for 'order': must be asc or desc, got '{order[:20]}'.", param="order"
        )
    return limit, order == "desc", request.args.get("after")


def _not_found(response_id: str) -> NoReturn:
    raise ResponseNotFound(f"Response with id '{response_id[:100]}' not found.")
