"""The Hugging Face tokenizer behind the engine interface."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

from tricorn.engines.vllm.tokenizer import Tokenizer

PIECES = ["<s>", "</s>", "Ġa", "b"]


class HfTokenizer:
    """As much of one as is used: a letter is a token, and `<s>` goes in front."""

    bos_token, bos_token_id = "<s>", 0
    eos_token = "</s>"
    all_special_ids = (0, 1)
    added_tokens_decoder = {0: "<s>", 1: "</s>"}
    chat_template: Any = "plain"
    backend_tokenizer = SimpleNamespace(
        to_str=lambda: json.dumps({"decoder": {"type": "ByteLevel"}})
    )

    def __init__(self) -> None:
        self.calls: list[tuple[bool, bool]] = []

    def convert_ids_to_tokens(self, token: int) -> str:
        return PIECES[token]

    def convert_tokens_to_ids(self, name: str) -> int:
        return PIECES.index(name) if name in PIECES else 3  # as if that were its unknown token

    def encode(
        self, text: str, *, add_special_tokens: bool, split_special_tokens: bool
    ) -> list[int]:
        self.calls.append((add_special_tokens, split_special_tokens))
        return [0] * add_special_tokens + [2 if letter == "a" else 3 for letter in text]

    def decode(self, token_ids: list[int]) -> str:
        return "".join("a" if token == 2 else "b" for token in token_ids)

    def __call__(self, first: str, second: str) -> dict[str, list[int]]:
        ids = [
            self.encode(t, add_special_tokens=True, split_special_tokens=False)
            for t in (first, second)
        ]
        return {"input_ids": [*ids[0], 1, *ids[1], 1]}


def test_facts() -> None:
    """Special tokens by their text, and whether a plain prompt begins with one."""
    tokenizer = Tokenizer(HfTokenizer())
    assert (tokenizer.bos_token, tokenizer.eos_token) == ("<s>", "</s>")
    assert tokenizer.adds_bos()


def test_the_id_of_a_name() -> None:
    """None where the tokenizer can only give its unknown token."""
    tokenizer = Tokenizer(HfTokenizer())
    assert [tokenizer.id_of(name) for name in ("<s>", "b", "<fim_prefix>")] == [0, 3, None]


def test_chat_template() -> None:
    """The default and that for tools where a model has several; None where it has none."""
    vendor = HfTokenizer()
    tokenizer = Tokenizer(vendor)
    assert tokenizer.templates == ("plain", None)
    vendor.chat_template = {"default": "first", "tool_use": "second"}
    assert tokenizer.templates == ("first", "second")
    vendor.chat_template = None
    assert tokenizer.templates == (None, None)


def test_there_and_back() -> None:
    """add_special and parse_special are handed on; control tokens come back by their names."""
    vendor = HfTokenizer()
    tokenizer = Tokenizer(vendor)
    assert tokenizer.tokenize("ab", add_special=True, parse_special=False) == [0, 2, 3]
    assert tokenizer.tokenize("ab", add_special=False, parse_special=True) == [2, 3]
    assert vendor.calls == [(True, True), (False, False)]
    assert tokenizer.detokenize([0, 2, 3, 1]) == b"<s> ab</s>"


def test_a_pair_without_types() -> None:
    """Models that know no token types get zeros."""
    assert Tokenizer(HfTokenizer()).pair([2], [3]) == ([0, 2, 1, 0, 3, 1], [0] * 6)
