"""What a token adds to an answer, and whether it ends it. Pure."""

from __future__ import annotations

from tricorn.engines.mlx.scheduler import Sequence
from tricorn.engines.request import FinishReason


def text_and_end(
    sequence: Sequence,
    token: int,
    *,
    piece: bytes,
    end_tokens: frozenset[int],
    context_length: int,
) -> tuple[str, FinishReason | None, str | int | None]:
    """Add `token` to the sequence: (text to send, why it ends, the stop string or token that was
    met). piece: the token's bytes in an answer.
    """
    sampling = sequence.request.sampling
    sequence.tokens.append(token)
    sequence.generated += 1
    may_stop = sequence.generated > sampling.min_tokens
    if token in end_tokens:
        return sequence.text.finish(), "stop", None
    if token in sampling.stop_token_ids and may_stop:
        return sequence.text.finish(), "stop", token
    text, stop = sequence.text.push(piece, check_stop=may_stop)
    if stop is not None:
        return text, "stop", stop
    full = len(sequence.tokens) >= context_length
    if full or sequence.generated == sampling.max_tokens:
        return text + sequence.text.finish(), "length", None
    return text, None, None
