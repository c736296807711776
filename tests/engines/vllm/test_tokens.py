"""Token ids to bytes."""

from __future__ import annotations

import pytest

from tricorn.engines.vllm.tokens import TokenBytes, is_byte_level

BYTE_LEVEL = ["Ġthe", "Ċ", "Ã", "©", "<|end|>"]
SENTENCEPIECE = ["▁the", "<0x0A>", "<0xC3>", "é", "</s>"]


def make(vocabulary: list[str], *, byte_level: bool) -> TokenBytes:
    def piece(token: int) -> str | None:
        return vocabulary[token] if token < len(vocabulary) else None

    return TokenBytes(piece, added={4: vocabulary[4]}, control=[4], byte_level=byte_level)


def test_the_byte_level_alphabet() -> None:
    """One printable character a byte: also the halves of a UTF-8 character."""
    tokens = make(BYTE_LEVEL, byte_level=True)
    assert [tokens.whole(i) for i in range(4)] == [b" the", b"\n", b"\xc3", b"\xa9"]


def test_every_byte_has_its_character() -> None:
    """The alphabet covers all 256 bytes, each once."""
    alphabet = [chr(i) for i in range(0x180)]
    tokens = make([*alphabet[:4], "x", *alphabet], byte_level=True)
    single = {tokens.whole(5 + i) for i in range(0x180) if len(tokens.whole(5 + i)) == 1}
    assert single >= {bytes([i]) for i in range(256)}


def test_the_sentencepiece_alphabet() -> None:
    """`▁` is a space, `<0x..>` a byte, the rest is text."""
    tokens = make(SENTENCEPIECE, byte_level=False)
    assert [tokens.whole(i) for i in range(4)] == [b" the", b"\n", b"\xc3", "é".encode()]


@pytest.mark.parametrize(("vocabulary", "level"), [(BYTE_LEVEL, True), (SENTENCEPIECE, False)])
def test_control_tokens_are_named_but_not_shown(vocabulary: list[str], level: bool) -> None:
    """Their names are no text of an answer."""
    tokens = make(vocabulary, byte_level=level)
    assert tokens.whole(4) == vocabulary[4].encode()
    assert tokens.shown(4) == b""
    assert tokens.shown(0) == b" the"


def test_an_id_beyond_the_vocabulary_is_nothing() -> None:
    """Models have more rows than their tokenizer has tokens."""
    assert make(BYTE_LEVEL, byte_level=True).whole(99) == b""


def test_the_alphabet_is_told_by_the_tokenizer() -> None:
    """By its decoder or pre-tokenizer, also inside a sequence of them."""
    inside = {"type": "Sequence", "decoders": [{"type": "Fuse"}, {"type": "ByteLevel"}]}
    splits = {"type": "Sequence", "pretokenizers": [{"type": "Split"}, {"type": "ByteLevel"}]}
    assert is_byte_level({"decoder": {"type": "ByteLevel"}})
    assert is_byte_level({"decoder": inside})
    assert is_byte_level({"decoder": None, "pre_tokenizer": splits})
    assert not is_byte_level({"decoder": {"type": "Metaspace"}, "pre_tokenizer": None})
    assert not is_byte_level({})
