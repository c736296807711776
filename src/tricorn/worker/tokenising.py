"""Texts to token ids and back, for those who ask for just that."""

from __future__ import annotations

from tricorn.engines.base import InferenceEngine
from tricorn.engines.request import RenderedChat
from tricorn.worker.prepare import Preparer
from tricorn.worker.protocol import (
    ChatPrompt,
    Detokenize,
    Detokenized,
    TextPrompt,
    Tokenize,
    Tokenized,
)


def tokenized(
    engine: InferenceEngine, preparer: Preparer, op: Tokenize, rendered: RenderedChat | None
) -> Tokenized:
    """rendered: what `Preparer.render` gave. RequestError where the model takes no such prompt."""
    text = None
    if rendered is not None:
        ids = rendered.token_ids
        text = engine.detokenize(ids).decode("utf-8", "replace")
    elif isinstance(op.prompt, ChatPrompt):
        text = preparer.chat_text(op.prompt)
        ids = (
            engine.tokenize(text, add_special=True, parse_special=True)
            if op.add_special
            else preparer.chat_ids(text)
        )
    elif isinstance(op.prompt, TextPrompt):
        ids = engine.tokenize(op.prompt.text, add_special=op.add_special, parse_special=True)
    else:
        ids = preparer.token_ids(op.prompt)
    pieces = [engine.detokenize([token]) for token in ids] if op.pieces else None
    return Tokenized(op.id, ids, pieces, text)


def detokenized(engine: InferenceEngine, preparer: Preparer, op: Detokenize) -> Detokenized:
    """InvalidRequest names a token that the model does not have."""
    ids = preparer.known(op.token_ids, "tokens")
    return Detokenized(op.id, engine.detokenize(ids).decode("utf-8", "replace"))
