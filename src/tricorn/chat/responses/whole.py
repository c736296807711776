"""`response`, as one object."""

from __future__ import annotations

from tricorn.chat.response import WholeBuilder
from tricorn.chat.responses.answer import ResponseAnswer
from tricorn.chat.responses.items import Json, OutputItem


class ResponseObject(ResponseAnswer, WholeBuilder):
    def opened(self, item: OutputItem) -> list[bytes]:
        return []

    def grown(self, item: OutputItem, text: str, logprobs: list[Json]) -> list[bytes]:
        return []

    def closed(self, item: OutputItem, shown: Json) -> list[bytes]:
        return []

    def result(self) -> Json:
        return self.finish()[1]
