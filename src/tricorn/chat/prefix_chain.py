"""Hashes of a prompt's beginnings, by which a follow-up turn finds the replica that has read them.

A chain has one link for each of the first messages (or blocks of a plain prompt), and after those
for fewer and fewer; each link stands for all up to there. Where links stand depends on nothing that
comes after them: the chain of a conversation begins with that of the same conversation earlier.

They need not be exact. Long messages count by their beginning, end and length, and tools by name
and description: where two prompts are taken for the same, one is read anew, no more. They are the
same in every process, which Python's own `hash` is not.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b
from typing import Any

import msgspec

from tricorn.engines.request import ChatPrompt, Image

BLOCK_CHARACTERS = 1024
BLOCK_TOKENS = 256
"""About as much text."""

SPACING = ((24, 1), (120, 4), (504, 16))
"""(up to this message or block, a link at each so manieth): 72 links at most."""
_LINKED = tuple(
    number
    for (start, _), (end, step) in zip(((0, 0), *SPACING), SPACING, strict=False)
    for number in range(start + step, end + 1, step)
)
_IS_LINKED = frozenset(_LINKED)
_LAST = _LINKED[-1]

HEAD, TAIL = 2048, 512
"""Characters that count of a longer text; bytes of a picture."""
TOKEN_STEP = 4
"""Each so manieth token of a block counts."""

Chain = tuple[int, ...]
"""Numbers below 2**63, the shortest beginning's first."""


def of_chat(chat: ChatPrompt, model: str) -> Chain:
    """A link for messages. model: as the request names it; an adapter reads everything anew."""
    before = [model, *_tools(chat.tools or [])]
    if chat.template_kwargs:  # thoughts switched on or off may show at the very beginning
        before.append(_plain(chat.template_kwargs).decode())
    pictures = iter(chat.images)
    return _links("\0".join(before), (_message(one, pictures) for one in chat.messages))


def of_text(text: str, model: str) -> Chain:
    """A link for whole blocks of characters; none of a short text."""
    ends = range(BLOCK_CHARACTERS, len(text) + 1, BLOCK_CHARACTERS)
    return _links(model, (text[end - BLOCK_CHARACTERS : end].encode() for end in ends))


def of_tokens(token_ids: Sequence[int], model: str) -> Chain:
    """A link for whole blocks of tokens; none of a few."""
    ends = range(BLOCK_TOKENS, len(token_ids) + 1, BLOCK_TOKENS)
    blocks = (token_ids[end - BLOCK_TOKENS : end : TOKEN_STEP] for end in ends)
    return _links(model, (array("q", block).tobytes() for block in blocks))


def _links(before: str, parts: Iterable[bytes]) -> Chain:
    state = blake2b(before.encode(), digest_size=8)
    links = []
    for number, part in enumerate(parts, 1):
        state.update(part)
        if number in _IS_LINKED:
            links.append(int.from_bytes(state.digest(), "big") >> 1)
            if number == _LAST:
                break
    return tuple(links)


def _message(message: dict[str, Any], pictures: Iterator[Image]) -> bytes:
    pieces: list[bytes] = []
    for name, value in message.items():
        if isinstance(value, str):
            pieces.append(_short(name, value))
        elif name == "content" and isinstance(value, list):
            for part in value:
                if part["type"] == "image":
                    pieces.append(_short_picture(next(pictures).data))
                else:
                    pieces.append(_short(name, part["text"]))
        elif value is not None:
            pieces.append(_plain(value))
    return b"".join(pieces)


def _short(name: str, text: str) -> bytes:
    # With the length: what differs in the middle only does so mostly in length too.
    shown = text if len(text) <= HEAD + TAIL else text[:HEAD] + text[-TAIL:]
    return f"{name} {len(text)} {shown}".encode()


def _short_picture(data: bytes) -> bytes:
    return b"image %d %b%b" % (len(data), data[:HEAD], data[-TAIL:])


def _tools(tools: list[dict[str, Any]]) -> Iterator[str]:
    for tool in tools:
        function = tool["function"]
        yield function["name"]
        yield (function.get("description") or "")[:HEAD]


_plain = msgspec.json.Encoder(order="deterministic").encode
