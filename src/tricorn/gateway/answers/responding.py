"""One request to the Responses API: the conversation it continues, its answer, what is stored.

What is stored is stored before the client is told that the response is complete, so that it can be
continued at once. Of a stream that a client has left, or that failed, nothing is.
"""

from __future__ import annotations

import dataclasses
import time
from typing import Any

import structlog
from flask import Response

from tricorn.chat.choice import ToolUse
from tricorn.chat.response import Head
from tricorn.chat.responses.events import ResponseEvents
from tricorn.chat.responses.ids import new_id
from tricorn.chat.responses.whole import ResponseObject
from tricorn.engines.request import ChatPrompt
from tricorn.errors import (
    InvalidRequest,
    PreviousResponseNotFound,
    RequestError,
    StorageUnavailable,
    TricornError,
)
from tricorn.gateway.answers import respond, sse
from tricorn.gateway.requests import images
from tricorn.gateway.requests.generation import Job
from tricorn.schemas.responses import conversation
from tricorn.schemas.responses.conversation import Placed
from tricorn.schemas.responses.request import ResponsesRequest
from tricorn.settings.config import Settings
from tricorn.storage.responses import Missing, ResponseStore, Turn

log = structlog.get_logger(part="gateway")

Json = dict[str, Any]


class Conversation:
    """What a request is about: the turns before it, and what came in. RequestError where a part of
    it is not stored, or makes no sense."""

    def __init__(self, call: ResponsesRequest, store: ResponseStore, settings: Settings) -> None:
        self._call = call
        self._settings = settings
        self._before = _before(call, store)
        self._own = call.items(_referenced(call, store))
        self._items = self._before + self._own
        conversation.check(self._items)

    def prompt(self) -> ChatPrompt:
        """Its images are fetched."""
        urls = conversation.image_urls(self._items)
        return self._call.prompt(self._items, images.load(urls, self._settings))

    def sent(self) -> list[Json]:
        """What came in, as it is stored and listed. Clients send back what they got, and whoever
        goes through a list by its ids must not meet one twice: it gets another one then."""
        met = {placed.item.id for placed in self._before}
        listed = [placed.item.listed() for placed in self._own]
        for item, placed in zip(listed, self._own, strict=True):
            if item["id"] in met:
                item["id"] = new_id(placed.item.prefix)
            met.add(item["id"])
        return listed


def _before(call: ResponsesRequest, store: ResponseStore) -> list[Placed]:
    if call.previous_response_id is None:
        return []
    try:
        turns = store.turns(call.previous_response_id)
    except Missing as error:
        gone = error.response_id[:100]
        text = f"Previous response with id '{gone}' not found."
        if error.response_id != call.previous_response_id:
            text = f"The conversation before this response is not whole any more: {text}"
        raise PreviousResponseNotFound(text, param="previous_response_id") from error
    return conversation.history([(turn.input, turn.response["output"]) for turn in turns])


def _referenced(call: ResponsesRequest, store: ResponseStore) -> dict[str, Json]:
    found: dict[str, Json] = {}
    for param, item_id in call.references():
        item = store.item(item_id)
        if item is None:
            raise InvalidRequest(
                f"Item with id '{item_id[:100]}' not found; items of responses that are not stored "
                "must be sent as they are.",
                param=param,
            )
        found[item_id] = item
    return found


class Answering:
    """job: its prompt is the conversation's. sent: as `Conversation.sent`."""

    def __init__(
        self, call: ResponsesRequest, sent: list[Json], job: Job, store: ResponseStore
    ) -> None:
        self._call = call
        self._job = job
        self._store = store
        self._stores = call.store and store.keeps
        self._repeated = call.repeated() | {"store": self._stores}
        self._sent = sent
        self._id = new_id("resp")
        self._events: ResponseEvents | None = None

    def answer(self) -> Response:
        try:
            if self._call.stream:
                framing = sse.Framing(sse.events, self._failed)
                return respond.stream(self._job, self._stream, prefix="resp", framing=framing)
            return respond.whole(self._job, self._whole, prefix="resp")
        except RequestError as error:
            raise in_our_words(error) from error

    def _whole(self, head: Head) -> ResponseObject:
        return ResponseObject(self._named(head), self._repeated, **self._options())

    def _stream(self, head: Head) -> ResponseEvents:
        self._events = ResponseEvents(self._named(head), self._repeated, **self._options())
        return self._events

    def _named(self, head: Head) -> Head:
        return dataclasses.replace(head, id=self._id)

    def _options(self) -> Json:
        return {
            "use": ToolUse(self._call.offered_tools()),
            "logprobs": self._call.wants_logprobs,
            "keep": self._keep,
        }

    def _keep(self, response: Json) -> None:
        if not self._stores:
            return
        try:
            self._store.save(Turn(self._sent, response), self._call.previous_response_id)
        except StorageUnavailable as error:
            # The answer is there; that it cannot be continued shows when somebody tries.
            log.warning("response not stored", response_id=self._id, error=error.message)

    def _failed(self, error: TricornError) -> bytes:
        # The model's name is the caller's where no replica has taken the request yet.
        events = self._events or self._stream(Head("", int(time.time()), self._call.model, ""))
        return sse.events(events.failed(in_our_words(error)))


def in_our_words(error: TricornError) -> TricornError:
    """An engine worker calls the conversation `messages`, a field that nobody wrote here."""
    if error.param is not None and error.param.startswith("messages"):
        return type(error)(error.message, param="input", retry_after_s=error.retry_after_s)
    return error
