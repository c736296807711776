"""Tricorn as a whole: health, figures, logs, keys and what was used."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict


class About(BaseModel):
    name: Literal["tricorn"]
    version: str
    api: str
    models: str
    health: str
    ready: str
    docs: str
    openapi: str


class Health(BaseModel):
    status: Literal["ok"]


class Readiness(BaseModel):
    status: Literal["ready", "not_ready"]
    reason: str


class SystemHealth(BaseModel):
    status: Literal["healthy", "unhealthy"]
    reason: str
    loaded_models: list[str] | None = None
    failed_models: dict[str, str | None] | None = None


class GpuFigures(BaseModel):
    name: str
    memory_total_bytes: int | None
    memory_used_bytes: int | None


class SpareWorker(BaseModel):
    engine: str
    pid: int
    memory_bytes: int | None


class SystemDetails(BaseModel):
    cpu_count: int | None
    memory_total_bytes: int
    memory_available_bytes: int
    tricorn_memory_bytes: int
    gpus: list[GpuFigures]
    models: list[str]
    spare_workers: list[SpareWorker]
    failed_requests: int
    prompt_tokens: int
    completion_tokens: int
    uptime_s: float


class SystemMetrics(BaseModel):
    """Usage in per cent."""

    object: Literal["system.metrics"]
    cpu_usage: float
    memory_usage: float
    gpu_memory_usage: float | None
    active_models: int
    total_requests: int
    avg_response_time: float | None
    tokens_per_second: float
    details: SystemDetails


class ModelCounts(BaseModel):
    total: int
    unusable: int
    states: dict[str, int]


class SystemStatus(BaseModel):
    object: Literal["system.status"]
    cpu_usage: float
    memory_usage: float
    gpu_memory_usage: float | None
    active_models: int
    total_requests: int
    avg_response_time: float | None
    tokens_per_second: float
    details: SystemDetails
    version: str
    ready: bool
    reason: str
    default_model: str | None
    models: ModelCounts


class Reloaded(BaseModel):
    """Names of settings."""

    object: Literal["reload"]
    changed: list[str]
    needs_restart: list[str]
    errors: list[str]


class RestartedGateway(BaseModel):
    object: Literal["gateway.restart"]
    pid: int
    replaced_pid: int
    workers: int
    duration_s: float
    changed: list[str]
    """Names of settings, as these."""
    needs_restart: list[str]


class TricornEvent(BaseModel):
    """Its other fields depend on the kind."""

    model_config = ConfigDict(extra="allow")

    object: Literal["event"]
    id: int
    time: float
    kind: str
    model: str | None


class LogLines(BaseModel):
    object: Literal["list"]
    data: list[dict[str, Any]]


class LogLevel(BaseModel):
    object: Literal["log_level"]
    level: str
    before: str


class ApiKey(BaseModel):
    id: str
    object: Literal["api_key"]
    name: str
    hint: str
    configured: bool
    permissions: list[str]
    models: list[str]
    requests_per_minute: int | None
    tokens_per_minute: int | None
    concurrent_requests: int | None
    weight: float
    daily_tokens: int | None
    monthly_tokens: int | None
    reasoning_field: str | None
    created: float
    expires: float | None
    last_used: float | None
    revoked: float | None


class NewApiKey(ApiKey):
    key: str
    """Told this once."""


class ApiKeyList(BaseModel):
    object: Literal["list"]
    data: list[ApiKey]


class UsageCounts(BaseModel):
    requests: int
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class UsageRow(UsageCounts):
    day: str
    key: str | None
    key_name: str | None
    model: str


class UsageReport(BaseModel):
    object: Literal["usage"]
    since: str
    until: str
    total: UsageCounts
    data: list[UsageRow]
