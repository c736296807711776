"""Vectors and scores."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel

from tricorn.gateway.openapi.answers.common import PromptUsage


class Embedding(BaseModel):
    object: Literal["embedding"]
    index: int
    embedding: list[float] | str
    """Text where `encoding_format` is base64: packed float32, little-endian."""


class EmbeddingList(BaseModel):
    object: Literal["list"]
    data: list[Embedding]
    model: str
    usage: PromptUsage


class RerankedDocument(BaseModel):
    text: str


class RerankedResult(BaseModel):
    index: int
    relevance_score: float
    document: RerankedDocument | None = None


class Reranked(BaseModel):
    id: str
    object: Literal["list"]
    model: str
    results: list[RerankedResult]
    """The most relevant first."""
    usage: PromptUsage


class ScoreUsage(PromptUsage):
    completion_tokens: int


class ScoredText(BaseModel):
    index: int
    object: Literal["score"]
    score: float


class ScoreList(BaseModel):
    id: str
    object: Literal["list"]
    created: int
    model: str
    data: list[ScoredText]
    usage: ScoreUsage
