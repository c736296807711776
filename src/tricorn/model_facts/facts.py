"""The facts of a model, whatever its format. What its files do not tell is None, never invented."""

from __future__ import annotations

from typing import Literal

import msgspec

Kind = Literal["text", "embedding", "reranker"]
PoolingType = Literal["mean", "cls", "last", "rank"]


class CacheLayers(msgspec.Struct, frozen=True, array_like=True):
    """Layers that keep keys and values of each token, all alike."""

    count: int
    keys: int
    """Numbers for each token in each of these layers."""
    values: int
    window: int | None = None
    """Tokens that they look back; None: all."""


class FileFacts(msgspec.Struct, frozen=True, array_like=True):
    """Widths are in numbers, sizes in bytes, lengths in tokens."""

    architecture: str | None = None
    """As the file says it: llama, qwen3moe; LlamaForCausalLM."""
    name: str | None = None
    parameters: int | None = None
    quantisation: str | None = None
    """As people name it: Q4_K_M, AWQ 4 bits; of plain weights their type: F16, BF16."""
    context_trained: int | None = None
    layers: int | None = None
    width: int | None = None
    """Of an embedding."""
    heads: int | None = None
    """Of a layer; the most, where they differ."""
    vocabulary: int | None = None
    cache: tuple[CacheLayers, ...] | None = None
    """Empty: nothing is kept for each token."""
    state_bytes: int = 0
    """Of one sequence, however long it is: of recurrent and convolutional layers."""
    weight_bytes: int = 0
    """Of the tensors alone."""
    embedding_bytes: int = 0
    """Of them, of the table of token embeddings where it is nothing but that: rows are looked up,
    never computed with."""
    number_type: str | None = None
    """What the model computes with, where its files say so: bfloat16, float16, float32."""
    kind: Kind = "text"
    pooling: PoolingType | None = None
    """How it makes one vector of a text."""
    chat_template: bool = False
    vision: bool = False
    classifier: bool = False
    """A GGUF file: it has what tells how two texts go together. llama.cpp would rank without."""

    @property
    def abilities(self) -> tuple[str, ...]:
        """What it can probably do; what it really can is known once it is loaded."""
        if self.kind != "text":
            return ("embed",) if self.kind == "embedding" else ("score",)
        more = {"chat": self.chat_template, "vision": self.vision}
        return ("generate", *(name for name, does in more.items() if does))


def cache_bytes_per_token(
    facts: FileFacts, *, key_bytes: float = 2.0, value_bytes: float = 2.0
) -> int:
    """Of one token in all layers, as if none had a window. Zero too where nothing is known.

    key_bytes, value_bytes: of a number in the cache; fractions where it is quantised.
    """
    return round(
        sum(
            layers.count * (layers.keys * key_bytes + layers.values * value_bytes)
            for layers in facts.cache or ()
        )
    )


def cache_bytes(facts: FileFacts, tokens: int, *, number_bytes: float = 2.0) -> int:
    """Of one sequence of so many tokens, where layers with a window keep no more than that."""
    return round(
        sum(
            layers.count
            * (layers.keys + layers.values)
            * number_bytes
            * min(tokens, layers.window or tokens)
            for layers in facts.cache or ()
        )
    )
