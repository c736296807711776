"""Token ids to bytes, for the ways in which a tokenizer.json writes them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tricorn.engines.mlx.vocabulary import Vocabulary
from tricorn.errors import ModelLoadFailed


def vocabulary(texts: list[str], *, added: list[dict[str, Any]] | None = None, **parts: Any) -> Any:
    model = {"vocab": {text: number for number, text in enumerate(texts)}}
    return Vocabulary(json.dumps({"model": model, "added_tokens": added or [], **parts}))


def test_byte_level_tokens() -> None:
    """Each character is one byte, and a token may be half a character of text."""
    found = vocabulary(["Ġthe", "Ã", "©", "Ċ"], decoder={"type": "ByteLevel"})
    assert found.detokenize([0, 1, 2, 3]) == " theé\n".encode()
    assert found.piece(1) == b"\xc3"


@pytest.mark.parametrize(
    "parts",
    [
        {"decoder": {"type": "Sequence", "decoders": [{"type": "ByteFallback"}]}},
        {"pre_tokenizer": {"type": "Metaspace"}},
        {"normalizer": {"type": "Sequence", "normalizers": [{"type": "Replace", "content": "▁"}]}},
    ],
)
def test_byte_fallback_tokens(parts: dict[str, Any]) -> None:
    """A lone byte has a notation of its own."""
    found = vocabulary(["▁the", "<0xC3>", "<0xA9>"], **parts)
    assert found.detokenize([0, 1, 2]) == " theé".encode()


def test_plain_tokens() -> None:
    """No decoder: the text is what it is."""
    assert vocabulary(["a▁b"]).detokenize([0]) == "a▁b".encode()


def test_unigram_vocabularies_are_lists() -> None:
    """In the order of the ids."""
    found = Vocabulary(json.dumps({"model": {"vocab": [["<unk>", 0.0], ["x", -1.0]]}}))
    assert (found.piece(1), found.size) == (b"x", 2)


def test_control_tokens_have_bytes_but_no_piece() -> None:
    """They belong to a prompt and never to an answer; other added tokens are text."""
    found = vocabulary(
        ["x"],
        added=[
            {"id": 1, "content": "<|im_end|>", "special": True},
            {"id": 2, "content": "<think>", "special": False},
        ],
    )
    assert (found.piece(1), found.piece(2)) == (b"", b"<think>")
    assert found.detokenize([1, 2]) == b"<|im_end|><think>"
    assert (found.id_of("<|im_end|>"), found.id_of("x"), found.id_of("none")) == (1, 0, None)


def test_an_id_beyond_the_vocabulary_is_empty() -> None:
    """Models pad their output to more tokens than there are."""
    assert vocabulary(["x"]).piece(7) == b""


@pytest.mark.parametrize("text", ["{", "[]", "{}"])
def test_a_broken_file_is_refused(text: str) -> None:
    """With a sentence, not a KeyError."""
    with pytest.raises(ModelLoadFailed, match=r"tokenizer\.json"):
        Vocabulary(text)
