"""Chats that are to be made to fit: dropped from, rendered and counted until they do."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec

from tricorn.chat import truncation
from tricorn.chat.truncation import Truncated
from tricorn.engines.request import RenderedChat
from tricorn.worker.prepare import Preparer
from tricorn.worker.protocol import ChatPrompt, Start, Tokenize

InThread = Callable[..., Awaitable[Any]]
"""Calls a function with arguments where it holds up nobody."""

OpT = TypeVar("OpT", Start, Tokenize)


class Fitted(NamedTuple, Generic[OpT]):
    op: OpT
    """With the chat that is left."""
    rendered: RenderedChat | None
    """What it becomes; None: not known yet, and the model does not see."""
    truncated: Truncated | None
    """None: nothing was dropped."""


async def fitted(
    op: OpT, preparer: Preparer, context_length: int, in_thread: InThread
) -> Fitted[OpT]:
    """The request, without the oldest turns where it allows that and is too long with them.

    What is left may still be too long, which `Preparer.prepare` tells. RequestError as from
    `Preparer.render` and `Preparer.token_ids`.
    """
    chat = op.prompt
    if not isinstance(chat, ChatPrompt) or not chat.truncation:
        return Fitted(op, await preparer.render(op), None)

    room: int = truncation.room(_max_tokens(op), context_length)

    async def rendered(of: OpT) -> RenderedChat:
        seen = await preparer.render(of)
        return seen or RenderedChat(await in_thread(preparer.token_ids, of.prompt))

    def fits(of: RenderedChat) -> bool:
        return len(of.token_ids) + room <= context_length

    def result(of: OpT, rendered: RenderedChat, truncated: Truncated | None) -> Fitted[OpT]:
        # Who asks for tokens may want them with others around the chat.
        known = preparer.sees or isinstance(of, Start)
        return Fitted(of, rendered if known else None, truncated)

    # Whole at first: so a message that the template refuses is named as the request has it.
    whole = await rendered(op)
    cuts = truncation.cuts(chat.messages)
    if fits(whole) or not cuts:
        return result(op, whole, None)
    tried: dict[int, tuple[OpT, RenderedChat]] = {}

    async def without(number: int) -> tuple[OpT, RenderedChat]:
        if number not in tried:
            shorter = msgspec.structs.replace(op, prompt=truncation.without(chat, cuts[number]))
            tried[number] = shorter, await rendered(shorter)
        return tried[number]

    search = truncation.search(len(cuts))
    try:
        number = next(search)
        while True:
            _, left = await without(number)
            number = search.send(fits(left))
    except StopIteration as found:
        chosen: int = found.value
    shorter, left = await without(chosen)
    cut = cuts[chosen]
    dropped = max(0, len(whole.token_ids) - len(left.token_ids))
    return result(shorter, left, Truncated(cut.end - cut.begin, cut.turns, dropped))


def _max_tokens(op: Start | Tokenize) -> int | None:
    return op.sampling.max_tokens if isinstance(op, Start) else op.max_tokens
