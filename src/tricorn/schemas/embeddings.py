"""`POST /v1/embeddings`: the request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from tricorn.schemas.cells import Shortened
from tricorn.schemas.fields import Integer, KeepAlive, String
from tricorn.schemas.inputs import TextsOrTokens
from tricorn.schemas.parameters import EMBEDDINGS, Rule
from tricorn.schemas.request import RequestModel
from tricorn.worker.protocol import TextPrompt, TokenPrompt


class EmbeddingRequest(RequestModel):
    rules: ClassVar[Mapping[str, Rule]] = EMBEDDINGS

    model: String = Field(min_length=1)
    input: TextsOrTokens
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: Annotated[Integer | None, Shortened()] = Field(None, ge=1, lt=2**31)
    keep_alive: KeepAlive | None = None

    def prompts(self) -> list[TextPrompt | TokenPrompt]:
        return [
            TextPrompt(text) if isinstance(text, str) else TokenPrompt(text) for text in self.input
        ]
