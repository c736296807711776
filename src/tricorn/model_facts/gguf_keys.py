"""The metadata of a GGUF file by their meaning: wrong types and nonsense are as good as absent."""

from __future__ import annotations

from collections.abc import Mapping

from tricorn.model_facts.gguf_header import Value

MOST = 1 << 40
"""No length, width or count of a model is as large."""
MOST_LAYERS = 4096


class Keys:
    def __init__(self, metadata: Mapping[str, Value]) -> None:
        self.metadata = metadata
        self.architecture = self.text("general.architecture")

    def text(self, key: str) -> str | None:
        value = self.metadata.get(key)
        return value if isinstance(value, str) and value else None

    def number(self, key: str) -> int | None:
        value = self.metadata.get(key)
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MOST:
            return None
        return value

    def own(self, key: str) -> Value | None:
        """Of the architecture: `llama.context_length` is its `context_length`."""
        return self.metadata.get(f"{self.architecture}.{key}")

    def own_number(self, key: str) -> int | None:
        return self.number(f"{self.architecture}.{key}")

    def boolean(self, key: str) -> bool | None:
        value = self.own(key)
        return value if isinstance(value, bool) else None

    @property
    def layers(self) -> int:
        return min(self.own_number("block_count") or 0, MOST_LAYERS)

    def per_layer(self, key: str) -> tuple[int, ...] | None:
        """A number for each layer, of a single one or of an array; None where there is neither, or
        the array is too short."""
        value = self.own(key)
        if isinstance(value, tuple):
            numbers = tuple(int(one) for one in value if isinstance(one, int) and 0 <= one <= MOST)
            fits = len(numbers) == len(value) >= self.layers
            return numbers[: self.layers] if fits else None
        single = self.own_number(key)
        return None if single is None else (single,) * self.layers
