"""The answers of `/api/embed` and `/api/embeddings`."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence

import orjson

from tricorn.chat.ollama.times import Stopwatch


def embeddings(
    model: str, vectors: Sequence[bytes], prompt_tokens: int, watch: Stopwatch
) -> Iterator[bytes]:
    """The JSON of `/api/embed`, piece by piece, as it can be large.

    vectors: packed, float32 and little-endian, in the order of the inputs.
    """
    yield b'{"model":' + orjson.dumps(model) + b',"embeddings":['
    for number, vector in enumerate(vectors):
        yield (b"," if number else b"") + orjson.dumps(numbers(vector))
    took = {
        "total_duration": watch.total(),
        "load_duration": watch.loaded(),
        "prompt_eval_count": prompt_tokens,
    }
    yield b"]," + orjson.dumps(took)[1:]


def numbers(vector: bytes) -> tuple[float, ...]:
    return struct.unpack(f"<{len(vector) // 4}f", vector)
