"""Models: lists, capabilities, status, downloads, instances."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel


class TricornModel(BaseModel):
    """What Tricorn knows beyond OpenAI's fields; null is unknown."""

    engine: str
    engine_reason: str
    format: str
    size_bytes: int
    state: str
    context_length: int | None
    capabilities: list[str] | None
    fault: str | None
    architecture: str | None
    parameters: int | None
    quantisation: str | None
    context_length_trained: int | None
    capabilities_expected: list[str] | None
    memory_expected_bytes: int | None
    context_length_expected: int | None


class Model(BaseModel):
    id: str
    object: Literal["model"]
    created: int
    owned_by: str
    root: str
    parent: str | None
    tricorn: TricornModel


class ModelList(BaseModel):
    object: Literal["list"]
    data: list[Model]


class ParameterCell(BaseModel):
    """What becomes of a parameter."""

    status: Literal["enforced", "emulated", "hint", "refused", "unknown until loaded"]
    reason: str | None = None
    accepts: list[Any] | None = None
    same_as: str | None = None
    within: dict[str, ParameterCell] | None = None


class EndpointRow(BaseModel):
    status: str
    reason: str | None = None
    also: list[str] | None = None
    parameters: dict[str, ParameterCell] | None = None


class ModelDialect(BaseModel):
    tools: str
    reasoning: str | None
    template_variables: list[str]


class ModelCapabilities(BaseModel):
    object: Literal["model.capabilities"]
    id: str
    engine: str
    loaded: bool
    dialect: ModelDialect | None
    endpoints: dict[str, EndpointRow]


class ReplicaStatus(BaseModel):
    name: str
    state: str
    pid: int | None
    current: bool
    leases: int
    progress: float | None
    load_s: float | None
    ready_for_s: float | None
    memory: dict[str, int]
    stats: dict[str, float] | None


class ModelStatus(BaseModel):
    """Times in seconds, memory in bytes by place."""

    id: str
    aliases: list[str]
    state: str
    reason: str | None
    engine: str
    engine_reason: str
    device: str
    format: str
    path: str
    size_bytes: int
    context_length: int | None
    context_shrunk_to: int | None
    replicas: list[ReplicaStatus]
    replicas_wanted: int
    leases: int
    waiting: int
    waiting_s: float | None
    eta_s: float | None
    load_s: float | None
    memory_expected: dict[str, int]
    memory_held: dict[str, int]
    memory_residue: dict[str, int] | None
    pinned: bool
    preload: bool
    ttl_s: float | None
    expires_in_s: float | None
    failures: int
    last_error: str | None
    retry_in_s: float | None
    log_tail: list[str]
    adapters: list[str]
    details: dict[str, Any]
    capabilities: ModelCapabilities | None = None


class DeletedModel(BaseModel):
    id: str
    object: Literal["model"]
    deleted: bool
    files: list[str]


class DownloadFault(BaseModel):
    code: str
    message: str


class Download(BaseModel):
    object: Literal["model.download"]
    name: str
    state: str
    """queued, resolving, downloading, verifying, waiting, done, failed or cancelled."""
    total_bytes: int | None
    completed_bytes: int | None
    share: float | None
    bytes_per_second: float | None
    eta_s: float | None
    file: str | None
    digest: str | None
    file_total_bytes: int | None
    file_completed_bytes: int | None
    files: list[dict[str, Any]]
    models: list[str]
    reason: str | None
    error: DownloadFault | None
    started: int


class DownloadList(BaseModel):
    object: Literal["list"]
    data: list[Download]


class CancelledDownload(BaseModel):
    object: Literal["model.download"]
    name: str
    cancelled: bool


class Instance(BaseModel):
    id: str
    object: Literal["instance"]
    model: str
    model_id: str
    params: dict[str, Any]
    ttl: float | None
    created: int
    expires_at: float | None
    state: str
    url: str
    """What its own routes are below."""
    status: ModelStatus


class InstanceList(BaseModel):
    object: Literal["list"]
    data: list[Instance]


class DeletedInstance(BaseModel):
    id: str
    object: Literal["instance"]
    deleted: bool
