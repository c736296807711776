"""The control tokens of fill-in-the-middle by the names that models give them. Pure.

A GGUF says in its metadata which they are; a Hugging Face folder has only the names. Families whose
models want another order than prefix, suffix, middle (Codestral) are left out.
"""

from __future__ import annotations

from collections.abc import Callable

from tricorn.engines.spec import FillTokens

NAMES = (
    ("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"),  # Qwen Coder, CodeGemma
    ("<fim_prefix>", "<fim_suffix>", "<fim_middle>"),  # StarCoder, Granite Code
    ("<fim-prefix>", "<fim-suffix>", "<fim-middle>"),  # SantaCoder
    ("<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>"),  # DeepSeek Coder
    ("<|code_prefix|>", "<|code_suffix|>", "<|code_middle|>"),  # GLM
    ("▁<PRE>", "▁<SUF>", "▁<MID>"),  # Code Llama
)


def find(id_of: Callable[[str], int | None]) -> FillTokens | None:
    """id_of: the id of the vocabulary's entry with that name; None where there is none."""
    for prefix, suffix, middle in NAMES:
        ids = id_of(prefix), id_of(suffix), id_of(middle)
        if ids[0] is not None and ids[1] is not None and ids[2] is not None:
            return FillTokens(ids[0], ids[1], ids[2])
    return None
