"""A response under construction: what whole and streamed ones have in common."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

from tricorn.chat.choice import Told, ToolUse
from tricorn.chat.logprobs import chat_logprobs
from tricorn.chat.pieces import Content
from tricorn.chat.response import Head
from tricorn.chat.responses.items import Json, Message, OutputItem, Status, item_for, text_in
from tricorn.chat.single_answer import SingleAnswer
from tricorn.engines.request import TokenDelta

Keep = Callable[[Json], None]


class ResponseAnswer(SingleAnswer):
    """repeated: what the response says of its request. keep: is given the finished response before
    the client is. now: unix seconds.
    """

    def __init__(
        self,
        head: Head,
        repeated: Mapping[str, Any],
        *,
        use: ToolUse = ToolUse(),  # noqa: B008 - it never changes
        logprobs: bool = False,
        keep: Keep = lambda response: None,
        now: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(head, use)
        self._repeated = repeated
        self._logprobs = logprobs
        self._keep = keep
        self._now = now
        self._done: list[Json] = []
        self._item: OutputItem | None = None
        """The one that grows."""
        self._unshown: list[Json] = []
        """Log probabilities of tokens that have not become text yet."""

    def told(self, told: Told, delta: TokenDelta) -> list[bytes]:
        chunks: list[bytes] = []
        if self._logprobs:
            self._unshown += chat_logprobs(told.logprobs)
        for piece in told.pieces:
            item = self._item
            if item is None or not item.takes(piece):
                chunks += self._close()
                item = self._item = item_for(piece, len(self._done))
                chunks += self.opened(item)
            if text := text_in(piece):
                item.add(text)
                chunks += self.grown(item, text, self._logprobs_for(item))
        return chunks

    def _logprobs_for(self, item: OutputItem) -> list[Json]:
        if not (self._unshown and isinstance(item, Message)):
            return []
        shown, self._unshown = self._unshown, []
        item.logprobs += shown
        return shown

    def _close(self, status: Status = "completed") -> list[bytes]:
        item, self._item = self._item, None
        if item is None:
            return []
        self._logprobs_for(item)
        self._done.append(item.shown(status))
        return self.closed(item, self._done[-1])

    def finish(self) -> tuple[list[bytes], Json]:
        """The last chunks before the finished response, and that response."""
        cut = self.tally.finish_reasons.get(0) == "length"
        chunks: list[bytes] = []
        if self._item is None and not self._done:
            # Nothing at all was said: that is a message too.
            self._item = item_for(Content(""), 0)
            chunks += self.opened(self._item)
        chunks += self._close("incomplete" if cut else "completed")
        response = self.response("incomplete" if cut else "completed")
        self._keep(response)
        return chunks, response

    def response(self, status: str, error: Json | None = None) -> Json:
        """The response object as it stands."""
        ended = status != "in_progress"
        head = self.head
        response: Json = {
            "id": head.id,
            "object": "response",
            "created_at": head.created,
            "status": status,
            "completed_at": int(self._now()) if status == "completed" else None,
            "error": error,
            "incomplete_details": None,
            "model": head.model,
            "output": list(self._done),
            **self._repeated,
            "usage": self.usage() if ended else None,
        }
        if status == "incomplete":
            response["incomplete_details"] = {"reason": "max_output_tokens"}
        if self.truncated is not None:
            response["truncated"] = self.truncated.told()
        return response

    def usage(self) -> Json:
        """The Responses API's `usage` object."""
        tally = self.tally
        return {
            "input_tokens": tally.prompt_tokens,
            # OpenAI's second number is of prompts that are written to a cache at a price.
            "input_tokens_details": {
                "cached_tokens": tally.cached_tokens,
                "cache_write_tokens": 0,
            },
            "output_tokens": tally.completion_tokens,
            "output_tokens_details": {"reasoning_tokens": tally.reasoning_tokens},
            "total_tokens": tally.prompt_tokens + tally.completion_tokens,
        }

    @abstractmethod
    def opened(self, item: OutputItem) -> list[bytes]:
        """What to send where an item begins."""

    @abstractmethod
    def grown(self, item: OutputItem, text: str, logprobs: list[Json]) -> list[bytes]:
        """What to send of a piece of its text. logprobs: of the tokens that it came from."""

    @abstractmethod
    def closed(self, item: OutputItem, shown: Json) -> list[bytes]:
        """What to send where it ends. shown: the finished item."""
