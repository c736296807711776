"""Ollama's API. Durations are nanoseconds."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from tricorn.gateway.openapi.answers.common import LikelyToken


class OllamaLogprobs(LikelyToken):
    top_logprobs: list[LikelyToken] | None = None


class OllamaFunction(BaseModel):
    index: int
    name: str
    arguments: dict[str, Any]


class OllamaCall(BaseModel):
    id: str
    function: OllamaFunction


class OllamaMessageAnswer(BaseModel):
    role: str
    content: str
    thinking: str | None = None
    tool_calls: list[OllamaCall] | None = None


class OllamaDone(BaseModel):
    model: str
    created_at: str
    done: bool
    done_reason: str | None = None
    """stop, length, load or unload."""
    total_duration: int | None = None
    load_duration: int | None = None
    prompt_eval_count: int | None = None
    prompt_eval_duration: int | None = None
    eval_count: int | None = None
    eval_duration: int | None = None
    logprobs: list[OllamaLogprobs] | None = None


class OllamaChatAnswer(OllamaDone):
    """Whole, or a line of a stream."""

    message: OllamaMessageAnswer


class OllamaGenerateAnswer(OllamaDone):
    """Whole, or a line of a stream."""

    response: str
    thinking: str | None = None


class OllamaVectors(BaseModel):
    model: str
    embeddings: list[list[float]]
    total_duration: int | None = None
    load_duration: int | None = None
    prompt_eval_count: int | None = None


class OllamaVector(BaseModel):
    embedding: list[float]


class OllamaDetails(BaseModel):
    parent_model: str
    format: str
    family: str
    families: list[str] | None
    parameter_size: str
    quantization_level: str


class OllamaModel(BaseModel):
    name: str
    model: str
    modified_at: str
    size: int
    digest: str
    details: OllamaDetails


class OllamaModels(BaseModel):
    models: list[OllamaModel]


class OllamaRunningModel(BaseModel):
    name: str
    model: str
    digest: str
    details: OllamaDetails
    size: int | None = None
    size_vram: int | None = None
    context_length: int | None = None
    expires_at: str | None = None


class OllamaRunning(BaseModel):
    models: list[OllamaRunningModel]


class OllamaShown(BaseModel):
    details: OllamaDetails
    model_info: dict[str, Any]
    modified_at: str
    parameters: str | None = None
    template: str | None = None
    capabilities: list[str] | None = None


class OllamaVersion(BaseModel):
    version: str
    """The release of Ollama whose API this is."""
    tricorn: str


class OllamaStatus(BaseModel):
    """A line of a download."""

    status: str
    digest: str | None = None
    total: int | None = None
    completed: int | None = None
