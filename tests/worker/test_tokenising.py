"""Texts to token ids and back."""

from __future__ import annotations

from typing import Any

import pytest

from tricorn.engines.fake import CHAT_TEMPLATE, create
from tricorn.engines.spec import EngineCapabilities, LoadedModel
from tricorn.errors import InvalidRequest
from tricorn.worker.prepare import Preparer
from tricorn.worker.protocol import ChatPrompt, Detokenize, TextPrompt, Tokenize, TokenPrompt
from tricorn.worker.tokenising import detokenized, tokenized

CHAT = ChatPrompt([{"role": "user", "content": "hi"}])
TEXT = "user: hi\nassistant: "

ENGINE: Any = create()
ENGINE.tokenize = lambda text, add_special, parse_special: (
    list(b"^" * add_special + text.encode()) if parse_special else []
)
"""Tokens are bytes; ^ is its special token."""
MODEL = LoadedModel(
    4, 257, 1, EngineCapabilities(), chat_template=CHAT_TEMPLATE, bos_token="^", adds_bos=True
)
PREPARER = Preparer(ENGINE, MODEL)


def test_a_text() -> None:
    """With the special tokens unless they are not wanted, however long it is."""
    made = tokenized(ENGINE, PREPARER, Tokenize(1, "r", TextPrompt("hello")), None)
    assert (made.id, bytes(made.token_ids), made.pieces, made.text) == (1, b"^hello", None, None)
    op = Tokenize(1, "r", TextPrompt("hello"), add_special=False)
    assert bytes(tokenized(ENGINE, PREPARER, op, None).token_ids) == b"hello"


def test_pieces() -> None:
    """Each token's own bytes, where they were asked for."""
    op = Tokenize(1, "r", TokenPrompt([0xE4, 0xB8, 65]), pieces=True)
    assert tokenized(ENGINE, PREPARER, op, None).pieces == [b"\xe4", b"\xb8", b"A"]


@pytest.mark.parametrize("add_special", [False, True])
def test_a_chat(add_special: bool) -> None:
    """Its text as the template gives it, and the tokens that the model would get."""
    op = Tokenize(1, "r", CHAT, add_special=add_special)
    made = tokenized(ENGINE, PREPARER, op, None)
    assert (made.text, bytes(made.token_ids)) == (TEXT, b"^" + TEXT.encode())


def test_detokenized() -> None:
    """Bytes that are no text are replaced; a token that there is not is named."""
    assert detokenized(ENGINE, PREPARER, Detokenize(2, "r", [104, 105, 0xE4])).text == "hi\ufffd"
    with pytest.raises(InvalidRequest, match=r"tokens\[1\] is 257") as caught:
        detokenized(ENGINE, PREPARER, Detokenize(2, "r", [104, 257]))
    assert caught.value.param == "tokens"
