"""What `tricorn.yaml` may say of a model under `models: NAME:`, and of all of them together."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from tricorn.engines.spec import Binding, EngineOptions, Serving
from tricorn.model_names import HubId, ModelName
from tricorn.settings.quantities import Duration

_RANGE = re.compile(r"\s*([0-9]+)\s*(?:-\s*([0-9]+)\s*)?")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
MAX_NUMBER = 65535
CHOOSES_GPUS = ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES")
"""Variables by which a process sees some GPUs only."""


def numbers(value: object) -> object:
    """ "0-3,8" as the list that it means; anything else as it is. ValueError for other texts."""
    if not isinstance(value, str):
        return value
    found: list[int] = []
    for part in value.split(","):
        match = _RANGE.fullmatch(part)
        if match is None:
            raise ValueError(f"must be a list of numbers or a text such as '0-3,8', got {value!r}")
        first, last = int(match[1]), int(match[2] or match[1])
        if not first <= last <= MAX_NUMBER:
            raise ValueError(f"{part.strip()!r} is no range of numbers up to {MAX_NUMBER}")
        found += range(first, last + 1)
    return found


Numbers = Annotated[list[Annotated[int, Field(ge=0, le=MAX_NUMBER)]], BeforeValidator(numbers)]


class ModelDefaults(BaseModel):
    """What can be said of all models at once. Each goes before the server-wide setting of the same
    name."""

    # Without "strings" an endless ttl would be null in JSON, by which gateways get these.
    model_config = ConfigDict(extra="forbid", ser_json_inf_nan="strings")

    engine: str | None = None
    """llamacpp, vllm or mlx; unset: INFERENCE_ENGINE."""
    context_length: int | None = Field(None, ge=16)
    """Tokens that one sequence may hold."""
    max_num_seqs: int | None = Field(None, ge=1)
    """Sequences decoded at the same time."""
    prefill_budget: int | None = Field(None, ge=1)
    """Prompt tokens prefilled in a step while others decode."""
    threads: int | None = Field(None, ge=1)
    """Threads that its engine may use; unset: MAX_CPU_THREADS."""
    enable_caching: bool | None = None
    """Keep the prefixes of ended requests for later ones."""
    cache_size: int | None = Field(None, ge=1)
    """Ended sequences that are kept for that."""
    engine_args: dict[str, Any] = {}
    """The engine's own start-up parameters."""
    sleep_level: Literal[1, 2] = 1
    """While it is parked (vLLM): 1 keeps the weights in main memory, 2 reads them anew."""
    chat_template: Path | None = None
    """A Jinja file, in place of the model's own chat templates."""
    ttl: Duration | None = None
    """Seconds without a request after which it is unloaded."""
    preload: bool = False
    """Load it at start."""
    pinned: bool = False
    """Never unload it for another model, nor after its ttl."""
    replicas: int = Field(1, ge=1, le=64)
    """Engine processes that serve it side by side."""
    max_leases: int | None = Field(None, ge=1)
    """Requests that each replica may have at the same time; unset: twice its sequences."""
    shrink_context: bool | None = None
    """Load it with the longest context that fits, where its own never does."""
    env: dict[str, str] = {}
    """Environment variables of its engine processes."""
    gpus: Numbers | None = None
    """GPUs that it may use, by number."""
    cpus: Numbers | None = None
    """CPU cores that it may use, by number: a list, or "0-3,8"."""
    numa_node: int | None = Field(None, ge=0)
    """The NUMA node whose cores it may use."""

    @field_validator("env")
    @classmethod
    def _variables(cls, env: dict[str, str]) -> dict[str, str]:
        for name, value in env.items():
            if not _VARIABLE.fullmatch(name):
                raise ValueError(f"{name!r} is no name of an environment variable")
            if "\0" in value:  # never shown: it may be a secret
                raise ValueError(f"the value of {name} has a NUL character")
        return env

    @model_validator(mode="after")
    def _one_binding(self) -> ModelDefaults:
        if self.cpus is not None and self.numa_node is not None:
            raise ValueError("cpus and numa_node both say which cores it may use: give one")
        if self.cpus == []:
            raise ValueError("cpus is empty: name at least one core")
        twice = [name for name in CHOOSES_GPUS if name in self.env]
        if self.gpus is not None and twice:
            raise ValueError(f"gpus and env.{twice[0]} both say which GPUs it may use: give one")
        return self


class ModelSettings(ModelDefaults):
    path: Path | None = None
    """Of a file or folder outside MODEL_BASE_PATH; unset: the model of this name found there."""
    repo: HubId | None = None
    """In place of a path: the hub id ORG/NAME or ORG/NAME:QUANT of a model in MODEL_BASE_PATH or in
    the Hugging Face cache."""
    format: Literal["gguf", "hf", "mlx"] | None = None
    """Which one is meant, where there are several."""
    aliases: list[ModelName] = []
    """Other names that requests may call it by."""
    adapters: dict[str, Path] = {}
    """LoRA adapters of this model by name, each with its folder."""

    @model_validator(mode="after")
    def _one_place(self) -> ModelSettings:
        if self.path is not None and self.repo is not None:
            raise ValueError("path and repo both say where it is: give one")
        return self

    def over(self, defaults: ModelDefaults) -> ModelSettings:
        """These settings where they are given, else the defaults of all models. `engine_args` and
        `env` add up, name by name. ValidationError where the two exclude each other."""
        if not defaults.model_fields_set:
            return self
        given = {name: getattr(self, name) for name in self.model_fields_set}
        shared = {name: getattr(defaults, name) for name in defaults.model_fields_set}
        merged = shared | given
        for name in ("engine_args", "env"):
            if name in shared and name in given:
                merged[name] = shared[name] | given[name]
        return ModelSettings.model_validate(_without_other_cores(merged, given))

    def options(self, defaults: EngineOptions) -> EngineOptions:
        """These settings over the server-wide ones. Without `chat_template`, which is a file."""
        caching = self.enable_caching
        return EngineOptions(
            context_length=self.context_length or defaults.context_length,
            max_num_seqs=self.max_num_seqs or defaults.max_num_seqs,
            prefill_budget=self.prefill_budget or defaults.prefill_budget,
            threads=self.threads or defaults.threads,
            engine_args=defaults.engine_args | self.engine_args,
            sleep_level=self.sleep_level,
            prefix_cache=defaults.prefix_cache if caching is None else caching,
            cache_size=self.cache_size or defaults.cache_size,
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
            cpus=None if cpus is None else tuple(sorted(set(cpus))),
            numa_node=self.numa_node,
        )


def _without_other_cores(merged: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """A model's own cores go before a default of the other kind."""
    kept = dict(merged)
    for name, other in (("cpus", "numa_node"), ("numa_node", "cpus")):
        if given.get(name) is not None and given.get(other) is None:
            kept.pop(other, None)
    return kept
