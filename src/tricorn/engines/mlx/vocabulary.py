"""Token ids and the bytes they stand for, from a `tokenizer.json`. Pure: no tokenizer package.

Three ways of writing bytes are in use:

    byte level   each byte is one printable character (GPT-2's table)        "Ġé" … → b" \\xc3\\xa9"
    byte fallback  text with "▁" for a space, and `<0xE2>` for a lone byte     "▁the" → b" the"
    plain        the token's text is what it is
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any, Literal

from tricorn.errors import ModelLoadFailed

Writing = Literal["byte level", "byte fallback", "plain"]

_LONE_BYTE = re.compile(r"<0x([0-9A-Fa-f]{2})>")


class Vocabulary:
    """Safe to use from any thread."""

    def __init__(self, tokenizer_json: str) -> None:
        try:
            tokenizer = json.loads(tokenizer_json)
            vocabulary = tokenizer["model"]["vocab"]
        except (ValueError, KeyError, TypeError) as error:
            raise ModelLoadFailed(
                "tokenizer.json is not one of the tokenizers library: is the download complete?"
            ) from error
        self._added: dict[int, dict[str, Any]] = {
            token["id"]: token
            for token in tokenizer.get("added_tokens") or ()
            if isinstance(token.get("id"), int)
        }
        self._writing = _writing(tokenizer)
        self._texts = dict(_texts_by_id(vocabulary))
        self._pieces: dict[int, bytes] = {}

    @property
    def size(self) -> int:
        """One more than the highest id."""
        return 1 + max((*self._texts, *self._added), default=-1)

    def id_of(self, text: str) -> int | None:
        """The id of the token that is written so in the file."""
        for token, added in self._added.items():
            if added.get("content") == text:
                return token
        return next((token for token, known in self._texts.items() if known == text), None)

    def piece(self, token: int) -> bytes:
        """A token's bytes in an answer: control tokens, and ids that name no token, give none."""
        known = self._pieces.get(token)
        if known is None:
            added = self._added.get(token)
            control = added is not None and bool(added.get("special"))
            known = self._pieces[token] = b"" if control else self._bytes(token)
        return known

    def detokenize(self, token_ids: Sequence[int]) -> bytes:
        """Control tokens included."""
        return b"".join(self._bytes(token) for token in token_ids)

    def _bytes(self, token: int) -> bytes:
        added = self._added.get(token)
        if added is not None:
            return str(added.get("content", "")).encode()
        text = self._texts.get(token, "")
        if self._writing == "byte level":
            return b"".join(_BYTE_OF[char] if char in _BYTE_OF else char.encode() for char in text)
        if self._writing == "byte fallback":
            lone = _LONE_BYTE.fullmatch(text)
            return bytes([int(lone[1], 16)]) if lone else text.replace("▁", " ").encode()
        return text.encode()


def _texts_by_id(vocabulary: Any) -> Iterator[tuple[int, str]]:
    if isinstance(vocabulary, dict):
        yield from ((token, text) for text, token in vocabulary.items())
    else:
        # Unigram models list [text, score] in the order of their ids.
        yield from ((token, entry[0]) for token, entry in enumerate(vocabulary))


def _writing(tokenizer: dict[str, Any]) -> Writing:
    parts = {
        part.get("type")
        for name in ("decoder", "pre_tokenizer")
        for part in _flat(tokenizer.get(name))
    }
    if "ByteLevel" in parts:
        return "byte level"
    normal = any(part.get("content") == "▁" for part in _flat(tokenizer.get("normalizer")))
    if normal or parts & {"ByteFallback", "Metaspace"}:
        return "byte fallback"
    return "plain"


def _flat(part: Any) -> Iterator[dict[str, Any]]:
    """A decoder, pre-tokenizer or normalizer, and what it is a sequence of."""
    if isinstance(part, dict):
        yield part
        for name in ("decoders", "pretokenizers", "normalizers"):
            for inner in part.get(name) or ():
                yield from _flat(inner)


def _byte_table() -> dict[str, bytes]:
    """GPT-2's: printable bytes stand for themselves, the others for characters from 256 on."""
    printable = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    table = {chr(byte): bytes([byte]) for byte in printable}
    table.update({chr(256 + n): bytes([byte]) for n, byte in enumerate(others)})
    return table


_BYTE_OF = _byte_table()
