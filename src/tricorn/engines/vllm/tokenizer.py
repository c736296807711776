"""The model's Hugging Face tokenizer, as the engine interface wants it. Pure: it is handed in."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from typing import Any

from tricorn.engines.chat_templates import Templates, named
from tricorn.engines.vllm.tokens import TokenBytes, is_byte_level


class Tokenizer:
    """tokenizer: used here only. Fast tokenizers keep settings between calls, so that two threads
    must not be in one at the same time."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._lock = threading.Lock()
        added = {
            number: str(token)
            for number, token in getattr(tokenizer, "added_tokens_decoder", {}).items()
        }
        backend = getattr(tokenizer, "backend_tokenizer", None)
        description = {} if backend is None else json.loads(backend.to_str())
        self.bytes = TokenBytes(
            tokenizer.convert_ids_to_tokens,
            added=added,
            control=tokenizer.all_special_ids,
            byte_level=is_byte_level(description),
        )

    def id_of(self, name: str) -> int | None:
        """The id of the vocabulary's entry with that name."""
        found = self._tokenizer.convert_tokens_to_ids(name)
        # For what it does not know it gives the id of its unknown token, if it has one.
        known = found is not None and self._tokenizer.convert_ids_to_tokens(found) == name
        return int(found) if known else None

    @property
    def bos_token(self) -> str:
        return str(getattr(self._tokenizer, "bos_token", None) or "")

    @property
    def eos_token(self) -> str:
        return str(getattr(self._tokenizer, "eos_token", None) or "")

    @property
    def templates(self) -> Templates:
        return named(getattr(self._tokenizer, "chat_template", None))

    def adds_bos(self) -> bool:
        bos = getattr(self._tokenizer, "bos_token_id", None)
        plain = self.tokenize("a", add_special=True, parse_special=True)
        return bos is not None and plain[:1] == [bos]

    def tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]:
        with self._lock:
            return list(
                self._tokenizer.encode(
                    text, add_special_tokens=add_special, split_special_tokens=not parse_special
                )
            )

    def detokenize(self, token_ids: Sequence[int]) -> bytes:
        return b"".join(map(self.bytes.whole, token_ids))

    def pair(self, first: Sequence[int], second: Sequence[int]) -> tuple[list[int], list[int]]:
        """(token ids, token types) of two texts put together as a cross-encoder expects them."""
        with self._lock:
            texts = [self._tokenizer.decode(list(ids)) for ids in (first, second)]
            joined = self._tokenizer(*texts)
        ids = list(joined["input_ids"])
        return ids, list(joined.get("token_type_ids") or [0] * len(ids))
