"""What `tricorn.yaml` may say of one model, under `models: NAME:`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from tricorn.engines.spec import Binding, EngineOptions, Serving
from tricorn.quantities import Duration


class ModelSettings(BaseModel):
    """Each goes before the server-wide setting of the same name."""

    model_config = ConfigDict(extra="forbid")

    path: Path | None = None
    """Of a file or folder outside MODEL_BASE_PATH; unset: the model of this name found there."""
    aliases: list[str] = []
    """Other names that requests may call it by."""
    engine: str | None = None
    context_length: int | None = Field(None, ge=16)
    max_num_seqs: int | None = Field(None, ge=1)
    prefill_budget: int | None = Field(None, ge=1)
    threads: int | None = Field(None, ge=1)
    engine_args: dict[str, Any] = {}
    sleep_level: Literal[1, 2] = 1
    """While it is parked (vLLM): 1 keeps the weights in main memory, 2 reads them anew."""
    adapters: dict[str, Path] = {}
    """LoRA adapters of this model by name, each with its folder."""
    chat_template: Path | None = None
    """A Jinja file, in place of the model's own chat templates."""
    ttl: Duration | None = None
    """Seconds without a request after which it is unloaded."""
    preload: bool = False
    """Load it at start."""
    pinned: bool = False
    """Never unload it for another model, nor after its ttl."""
    replicas: int = Field(1, ge=1, le=64)
    max_leases: int | None = Field(None, ge=1)
    """Requests that each replica may have at the same time; unset: twice its sequences."""
    shrink_context: bool | None = None
    env: dict[str, str] = {}
    """Environment variables of its engine processes."""
    gpus: list[int] | None = None
    """GPUs that it may use, by number."""
    cpus: list[int] | None = None
    """CPU cores that it may use."""
    numa_node: int | None = Field(None, ge=0)

    def options(self, defaults: EngineOptions) -> EngineOptions:
        """These settings over the server-wide ones. Without `chat_template`, which is a file."""
        return EngineOptions(
            context_length=self.context_length or defaults.context_length,
            max_num_seqs=self.max_num_seqs or defaults.max_num_seqs,
            prefill_budget=self.prefill_budget or defaults.prefill_budget,
            threads=self.threads or defaults.threads,
            engine_args=defaults.engine_args | self.engine_args,
            sleep_level=self.sleep_level,
        )

    def serving(self, *, ttl_s: float, shrink_context: bool) -> Serving:
        """The manager's part, over the server-wide settings."""
        ttl = ttl_s if self.ttl is None else self.ttl
        shrink = self.shrink_context
        return Serving(
            ttl_s=None if math.isinf(ttl) else ttl,
            preload=self.preload,
            pinned=self.pinned,
            replicas=self.replicas,
            max_leases=self.max_leases,
            shrink_context=shrink_context if shrink is None else shrink,
        )

    def binding(self) -> Binding:
        """Where its engine processes run."""
        gpus, cpus = self.gpus, self.cpus
        return Binding(
            env=self.env,
            gpus=None if gpus is None else tuple(gpus),
            cpus=None if cpus is None else tuple(cpus),
            numa_node=self.numa_node,
        )
