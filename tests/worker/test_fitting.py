"""Chats that are shortened until they fit."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from tricorn.chat.truncation import Truncated
from tricorn.engines.base import InferenceEngine
from tricorn.engines.fake import CHAT_TEMPLATE, create
from tricorn.engines.request import Image, SamplingParams
from tricorn.engines.spec import EngineCapabilities, LoadedModel
from tricorn.errors import ContextLengthExceeded, InvalidRequest
from tricorn.worker.fitting import Fitted, fitted
from tricorn.worker.prepare import Preparer
from tricorn.worker.protocol import ChatPrompt, Start, TextPrompt, Tokenize

TURN = [{"role": "user", "content": "x" * 20}, {"role": "assistant", "content": "y" * 15}]
"""54 tokens."""
END = [{"role": "user", "content": "z" * 4}]
"""22 tokens, with the head of the answer."""
SYSTEM = [{"role": "system", "content": "Be brief."}]
"""18 tokens."""


def preparer(context: int, *, vision: bool = False, template: str = CHAT_TEMPLATE) -> Preparer:
    engine: InferenceEngine = create()
    able = EngineCapabilities(vision=vision)
    return Preparer(engine, LoadedModel(context, 257, 1, able, chat_template=template))


def fit(
    chat: ChatPrompt, context: int, max_tokens: int | None = 10, **fields: Any
) -> tuple[Fitted[Start], Preparer]:
    own = preparer(context, **fields)
    start = Start(1, "r", chat, SamplingParams(max_tokens=max_tokens))
    return asyncio.run(fitted(start, own, context, asyncio.to_thread)), own


def chat(turns: int, **fields: Any) -> ChatPrompt:
    return ChatPrompt(SYSTEM + TURN * turns + END, truncation=True, **fields)


def kept(found: Fitted[Start]) -> int:
    assert isinstance(found.op.prompt, ChatPrompt)
    return (len(found.op.prompt.messages) - 2) // 2


@pytest.mark.parametrize(
    ("context", "max_tokens", "left"),
    [
        (600, 10, 4),
        (18 + 4 * 54 + 22 + 10, 10, 4),  # all of it, and the answer, to the token
        (18 + 4 * 54 + 22 + 9, 10, 3),
        (18 + 1 * 54 + 22 + 10, 10, 1),
        (18 + 22 + 30, 30, 0),
        (18 + 22 + 20, 30, 0),  # less than half is left for the answer
        (400, None, 4),
        (330, None, 3),  # 82 are to be left
        (400, 1000, 2),  # 200 are to be left
    ],
)
def test_turns_are_dropped_until_it_fits(context: int, max_tokens: int | None, left: int) -> None:
    """As few as possible, with room for the answer; what was dropped is told."""
    found, own = fit(chat(4), context, max_tokens)
    dropped = 4 - left
    assert kept(found) == left
    assert found.truncated == (Truncated(2 * dropped, dropped, 54 * dropped) if dropped else None)
    assert found.rendered is not None
    request = own.prepare(found.op, "1.1", found.rendered)
    assert len(request.prompt_token_ids) == 18 + 54 * left + 22
    assert request.rendered is None


def test_what_cannot_be_dropped_may_be_too_long() -> None:
    """Then it is refused with both counts, as any prompt."""
    found, own = fit(chat(2), 30)
    assert kept(found) == 0
    with pytest.raises(ContextLengthExceeded, match=r"30 tokens.*40 tokens"):
        own.prepare(found.op, "1.1", found.rendered)


def test_nothing_is_dropped_unasked() -> None:
    """Of a chat without the wish, and of other prompts."""
    whole = msgspec.structs.replace(chat(4), truncation=False)
    assert fit(whole, 100)[0] == Fitted(
        Start(1, "r", whole, SamplingParams(max_tokens=10)), None, None
    )
    text = Start(1, "r", TextPrompt("x" * 300), SamplingParams())
    assert asyncio.run(fitted(text, preparer(100), 100, asyncio.to_thread)).op is text


def test_images_of_dropped_messages_are_not_seen() -> None:
    """A model that sees is shown those of the messages that are left."""
    shown = [{"role": "user", "content": [{"type": "image"}]}]
    images = [Image(b"first"), Image(b"second")]
    messages = shown + TURN[1:] + shown
    found, own = fit(ChatPrompt(messages, images=images, truncation=True), 60, vision=True)
    assert isinstance(found.op.prompt, ChatPrompt)
    assert found.op.prompt.images == images[1:]
    assert found.rendered is not None
    text = bytes(own.prepare(found.op, "1.1", found.rendered).prompt_token_ids).decode()
    assert text.count("<image ") == 1


def test_a_refused_message_keeps_its_number() -> None:
    """A fault in what would have been dropped is named as the request has it."""
    refusing = "{{ raise_exception('no') if messages|length == 10 }}"
    with pytest.raises(InvalidRequest, match="no"):
        fit(chat(4), 100, template=refusing)


def test_tokens_of_a_chat_are_counted_as_it_would_be_sent() -> None:
    """The limit of the answer comes with the question; what surrounds a chat is settled later."""
    op = Tokenize(1, "r", chat(4), max_tokens=10)
    found = asyncio.run(fitted(op, preparer(150), 150, asyncio.to_thread))
    assert found.rendered is None
    assert found.truncated == Truncated(6, 3, 162)
