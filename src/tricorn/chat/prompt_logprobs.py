"""Log probabilities of a prompt's own tokens, in OpenAI's shape (`echo`) and in vLLM's."""

from __future__ import annotations

import codecs
from itertools import accumulate
from typing import Any

from tricorn.chat.logprobs import finite, legacy_top, token_text
from tricorn.engines.request import TokenLogprob


def echoed(text: str, first: bytes, entries: list[TokenLogprob], top: int) -> dict[str, Any]:
    """The beginning of a choice's `logprobs` where the choice begins with its prompt.

    Every token of the prompt is there, control tokens too, so that clients can count them.

    text: the prompt as it is repeated; first: its first token, of which nothing is known; entries:
    of the tokens after it; top: how many alternatives are wanted.
    """
    tokens = [first, *(entry.token for entry in entries)]
    return {
        "tokens": [token_text(token, "bytes:") for token in tokens],
        "token_logprobs": [None, *(finite(entry.logprob) for entry in entries)],
        "top_logprobs": [None, *(legacy_top(entry, top) for entry in entries)],
        "text_offset": _offsets(text, tokens),
    }


def by_token_id(entries: list[TokenLogprob], top: int) -> list[dict[str, Any] | None]:
    """vLLM's `prompt_logprobs`: null for the first token, then each token and its alternatives."""
    return [None, *(_position(entry, top) for entry in entries)]


def _position(entry: TokenLogprob, top: int) -> dict[str, Any]:
    shown = {str(entry.token_id): _shown(entry, entry.rank)}
    for rank, other in enumerate(entry.top[:top], start=1):
        shown.setdefault(str(other.token_id), _shown(other, rank))
    return shown


def _shown(entry: TokenLogprob, rank: int | None) -> dict[str, Any]:
    return {
        "logprob": finite(entry.logprob),
        "rank": rank,
        "decoded_token": token_text(entry.token),
    }


def _offsets(text: str, tokens: list[bytes]) -> list[int]:
    """Where each token begins in `text`, in characters."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    pieces = [decoder.decode(token) for token in tokens]
    starts = accumulate(map(len, pieces[:-1]), initial=0)
    # What the tokenizer put in front (a BOS, a space) is no part of the text that was sent.
    lead = max(0, "".join(pieces).find(text))
    return [min(len(text), max(0, start - lead)) for start in starts]
