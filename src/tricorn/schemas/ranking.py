"""`POST /v1/rerank` (Cohere's and Jina's shape) and `POST /v1/score` (vLLM's): the requests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Self

from pydantic import Field, model_validator

from tricorn.schemas.fields import Boolean, Integer, String
from tricorn.schemas.inputs import Documents, Text, Texts
from tricorn.schemas.parameters import RERANK, SCORE, Rule
from tricorn.schemas.request import RequestModel
from tricorn.schemas.sampling import across


class RerankRequest(RequestModel):
    rules: ClassVar[Mapping[str, Rule]] = RERANK

    model: String = Field(min_length=1)
    query: Text
    documents: Documents
    top_n: Integer | None = Field(None, ge=1, lt=2**31)
    """None: all of them."""
    return_documents: Boolean = False


class ScoreRequest(RequestModel):
    rules: ClassVar[Mapping[str, Rule]] = SCORE

    model: String = Field(min_length=1)
    text_1: Texts
    """One, which is compared with every `text_2`, or one for each."""
    text_2: Texts

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        if len(self.text_1) not in (1, len(self.text_2)):
            raise across(
                "text_1",
                f"it must be one text or as many as 'text_2': {len(self.text_1)} and "
                f"{len(self.text_2)}",
            )
        return self
