"""Which request model each endpoint takes, and which models can answer it. Every route that takes a
JSON body is registered here; the capability table has no other source."""

from __future__ import annotations

from dataclasses import dataclass

from tricorn.schemas.anthropic.request import MessagesRequest
from tricorn.schemas.cells import NO_TEMPLATE, Cell, ModelFacts
from tricorn.schemas.chat import ChatRequest
from tricorn.schemas.completions import CompletionRequest
from tricorn.schemas.embeddings import EmbeddingRequest
from tricorn.schemas.ollama.models import OllamaEmbed, OllamaEmbeddings
from tricorn.schemas.ollama.request import OllamaChat, OllamaGenerate
from tricorn.schemas.ranking import RerankRequest, ScoreRequest
from tricorn.schemas.request import RequestModel
from tricorn.schemas.responses.request import ResponsesRequest

_DOES = {
    "generate": "generates no text",
    "embed": "makes no embeddings",
    "score": "cannot compare texts",
}


@dataclass(frozen=True)
class Endpoint:
    path: str
    request: type[RequestModel]
    abilities: tuple[str, ...]
    """Of `EngineCapabilities`: the model must have one of them."""
    chat: bool = False
    """The prompt is a chat."""
    also: tuple[str, ...] = ()
    """Other paths of the same."""

    def cell(self, facts: ModelFacts | None) -> Cell:
        """Whether the model answers it at all."""
        if facts is None:
            return Cell("unknown until loaded")
        if not any(getattr(facts.capabilities, ability) for ability in self.abilities):
            return Cell("refused", f"the model {_DOES[self.abilities[0]]}")
        if facts.is_adapter and "generate" not in self.abilities:
            return Cell("refused", "it names an adapter, which only generating uses")
        if self.chat and not facts.dialect.chat:
            return Cell("refused", NO_TEMPLATE)
        return Cell("enforced")


ENDPOINTS = (
    Endpoint("/v1/chat/completions", ChatRequest, ("generate",), chat=True),
    Endpoint("/v1/completions", CompletionRequest, ("generate",)),
    Endpoint(
        "/v1/responses",
        ResponsesRequest,
        ("generate",),
        chat=True,
        also=("/v1/responses/input_tokens",),
    ),
    Endpoint("/v1/messages", MessagesRequest, ("generate",), chat=True),
    Endpoint("/v1/embeddings", EmbeddingRequest, ("embed",)),
    Endpoint("/v1/rerank", RerankRequest, ("score", "embed"), also=("/rerank", "/v2/rerank")),
    Endpoint("/v1/score", ScoreRequest, ("score", "embed"), also=("/score",)),
    Endpoint("/api/chat", OllamaChat, ("generate",), chat=True),
    Endpoint("/api/generate", OllamaGenerate, ("generate",)),
    Endpoint("/api/embed", OllamaEmbed, ("embed",)),
    Endpoint("/api/embeddings", OllamaEmbeddings, ("embed",)),
)
