"""A response as a stream of events.

    response.created, response.in_progress
    for each item of the output:
        response.output_item.added
        a message, thoughts:  response.content_part.added, ….delta …, ….done,
                              response.content_part.done
        a call:               response.function_call_arguments.delta …, ….done
        response.output_item.done
    response.completed | response.incomplete | error and response.failed

Each has the next `sequence_number`, from 0. Its `type` is its first field.
"""

from __future__ import annotations

from typing import Any

import orjson

from tricorn.chat.response import Head
from tricorn.chat.responses.answer import ResponseAnswer
from tricorn.chat.responses.items import FunctionCall, Json, Message, OutputItem
from tricorn.engines.request import TokenDelta
from tricorn.errors import TricornError


class ResponseEvents(ResponseAnswer):
    def __init__(self, head: Head, *args: Any, **options: Any) -> None:
        super().__init__(head, *args, **options)
        self._number = 0
        self._delta_start = b""

    def grow(self, choice: int, position: int, delta: TokenDelta) -> list[bytes]:
        if self._number:
            return super().grow(choice, position, delta)
        return self._begin() + super().grow(choice, position, delta)

    def opened(self, item: OutputItem) -> list[bytes]:
        start = {"type": item.delta_event, "item_id": item.id, "output_index": item.index}
        shown = item.shown("in_progress")
        events = [
            self._event("response.output_item.added", output_index=item.index, item=shown),
        ]
        if item.part() is not None:
            start["content_index"] = 0
            events.append(self._part_event("response.content_part.added", item))
        # All deltas of an item begin alike.
        self._delta_start = orjson.dumps(start)[:-1]
        return events

    def grown(self, item: OutputItem, text: str, logprobs: list[Json]) -> list[bytes]:
        parts = [self._delta_start, b',"delta":', orjson.dumps(text)]
        if isinstance(item, Message):
            parts += [b',"logprobs":', orjson.dumps(logprobs) if logprobs else b"[]"]
        parts.append(b',"sequence_number":%d}' % self._next())
        return [b"".join(parts)]

    def closed(self, item: OutputItem, shown: Json) -> list[bytes]:
        done: Json = {"item_id": item.id, "output_index": item.index, item.done_field: item.text}
        if isinstance(item, FunctionCall):
            done["name"] = item.name
        else:
            done["content_index"] = 0
        if isinstance(item, Message):
            done["logprobs"] = item.logprobs
        events = [self._event(item.done_event, **done)]
        if item.part() is not None:
            events.append(self._part_event("response.content_part.done", item))
        events.append(self._event("response.output_item.done", output_index=item.index, item=shown))
        return events

    def end(self) -> list[bytes]:
        events, response = self.finish()
        return [*events, self._event(f"response.{response['status']}", response=response)]

    def failed(self, error: TricornError) -> list[bytes]:
        """What ends a stream in the place of `end`."""
        events = self._begin()
        told = {"code": error.code, "message": error.message, "param": error.param}
        events.append(self._event("error", **told))
        # OpenAI's list of codes is closed; the error's own stands in the event before.
        code = "invalid_prompt" if error.status < 500 else "server_error"
        response = self.response("failed", {"code": code, "message": error.message})
        return [*events, self._event("response.failed", response=response)]

    def _begin(self) -> list[bytes]:
        """What stands at the beginning, once."""
        if self._number:
            return []
        response = self.response("in_progress")
        return [
            self._event("response.created", response=response),
            self._event("response.in_progress", response=response),
        ]

    def _part_event(self, kind: str, item: OutputItem) -> bytes:
        return self._event(
            kind, item_id=item.id, output_index=item.index, content_index=0, part=item.part()
        )

    def _event(self, kind: str, **fields: Any) -> bytes:
        return orjson.dumps({"type": kind, **fields, "sequence_number": self._next()})

    def _next(self) -> int:
        number = self._number
        self._number += 1
        return number
