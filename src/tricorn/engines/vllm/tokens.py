"""The bytes of each token, from a Hugging Face tokenizer's vocabulary. Pure.

A vocabulary writes bytes in one of two alphabets: GPT-2's, where each byte is one printable
character, or SentencePiece's, with `▁` for a space and `<0x0A>` for a byte that is no text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

_BYTE = re.compile(r"<0x([0-9A-Fa-f]{2})>")
_SPACE = "\u2581"


class TokenBytes:
    """piece: the vocabulary's entry of a token id; None where there is none.
    added: id → text of tokens that stand outside the alphabet (control tokens and the like).
    """

    def __init__(
        self,
        piece: Callable[[int], str | None],
        *,
        added: Mapping[int, str],
        control: Sequence[int],
        byte_level: bool,
    ) -> None:
        self._piece = piece
        self._added = added
        self._control = frozenset(control)
        self._decode = _from_byte_level if byte_level else _from_sentencepiece
        self._known: dict[int, bytes] = {}

    def whole(self, token: int) -> bytes:
        """Its bytes; a control token's are its name."""
        known = self._known.get(token)
        if known is None:
            known = self._known[token] = self._look_up(token)
        return known

    def shown(self, token: int) -> bytes:
        """Its bytes in an answer: control tokens give none."""
        return b"" if token in self._control else self.whole(token)

    def _look_up(self, token: int) -> bytes:
        if token in self._added:
            return self._added[token].encode()
        piece = self._piece(token)
        return b"" if piece is None else self._decode(piece)


def is_byte_level(tokenizer: Mapping[str, Any]) -> bool:
    """Whether a `tokenizer.json` (parsed) uses GPT-2's alphabet."""

    def uses(part: Any) -> bool:
        if not isinstance(part, Mapping):
            return False
        inner = [*part.get("decoders", ()), *part.get("pretokenizers", ())]
        return part.get("type") == "ByteLevel" or any(map(uses, inner))

    return uses(tokenizer.get("decoder")) or uses(tokenizer.get("pre_tokenizer"))


@cache
def _byte_of_character() -> dict[str, int]:
    """GPT-2's alphabet: printable Latin-1 stands for itself, the other bytes follow from 256 on."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    alphabet = {chr(byte): byte for byte in printable}
    others = (byte for byte in range(256) if byte not in set(printable))
    alphabet.update({chr(256 + i): byte for i, byte in enumerate(others)})
    return alphabet


def _from_byte_level(piece: str) -> bytes:
    alphabet = _byte_of_character()
    if all(character in alphabet for character in piece):
        return bytes(alphabet[character] for character in piece)
    return piece.encode()


def _from_sentencepiece(piece: str) -> bytes:
    if byte := _BYTE.fullmatch(piece):
        return bytes([int(byte[1], 16)])
    return piece.replace(_SPACE, " ").encode()
