"""Requests that manage models: load, pull, instances. A field that nobody knows is refused: what
was meant would be missing from then on."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BeforeValidator, Field

from tricorn import model_names
from tricorn.schemas.fields import (
    Boolean,
    Integer,
    JsonObject,
    KeepAlive,
    String,
    bad_value,
    one_of,
    to_int,
    wrong_type,
)
from tricorn.schemas.request import RequestModel

MAX_PATH = 4096
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
ENGINES = ("auto", "llamacpp", "vllm", "mlx", "fake")
_OTHER_NAMES = {"llama.cpp": "llamacpp", "llama_cpp": "llamacpp", "llama-cpp": "llamacpp"}


def _name(value: str) -> str:
    try:
        return model_names.checked(value)
    except ValueError as error:
        raise bad_value(str(error)) from error


def _path(value: str) -> str:
    if not value.strip() or len(value) > MAX_PATH or not value.isprintable():
        raise bad_value(
            f"must be a path of up to {MAX_PATH} characters, without control characters"
        )
    return value


def _engine(value: object) -> object:
    return _OTHER_NAMES.get(value, value) if isinstance(value, str) else value


def _upper(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


def _numbers(value: object) -> list[int]:
    if not isinstance(value, list):
        raise wrong_type("an array of integers", value)
    return [to_int(item) for item in value]


Name = Annotated[String, AfterValidator(_name)]
FilePath = Annotated[String, AfterValidator(_path)]
Engine = Annotated[str, one_of(ENGINES), BeforeValidator(_engine)]
Numbers = Annotated[list[int], BeforeValidator(_numbers)]


class LoadRequest(RequestModel):
    """`POST /v1/models/load`. Everything but the name becomes a part of the model's entry in the
    catalog, for good."""

    aliases: ClassVar[Mapping[str, str]] = {
        "model": "model_name",
        "name": "model_name",
        "engine": "engine_type",
        "keep_alive": "ttl",
    }

    model_name: Name
    model_path: FilePath | None = None
    engine_type: Engine | None = None
    engine_args: JsonObject | None = None
    context_length: Integer | None = Field(None, ge=16)
    max_num_seqs: Integer | None = Field(None, ge=1)
    prefill_budget: Integer | None = Field(None, ge=1)
    threads: Integer | None = Field(None, ge=1)
    enable_caching: Boolean | None = None
    cache_size: Integer | None = Field(None, ge=1)
    ttl: KeepAlive | None = None
    replicas: Integer | None = Field(None, ge=1, le=64)
    pinned: Boolean | None = None
    preload: Boolean | None = None
    max_leases: Integer | None = Field(None, ge=1)
    shrink_context: Boolean | None = None
    gpus: Numbers | None = None
    cpus: Numbers | None = None
    numa_node: Integer | None = Field(None, ge=0)
    reset: Boolean = False
    """Forget what loads before this one have said."""
    wait: Boolean = True
    stream: Boolean = False

    def settings(self) -> dict[str, Any]:
        """What was given, as fields of `ModelSettings`."""
        ours = {"model_name", "reset", "wait", "stream"}
        given = {name: getattr(self, name) for name in self.model_fields_set - ours}
        for name, known in (("model_path", "path"), ("engine_type", "engine")):
            if name in given:
                given[known] = given.pop(name)
        if "ttl" in given:
            given["ttl"] = _endless(given["ttl"])
        if given.get("engine") == "auto":
            del given["engine"]
        return {name: value for name, value in given.items() if value is not None}


class PullRequest(RequestModel):
    """`POST /v1/models/pull`"""

    aliases: ClassVar[Mapping[str, str]] = {"name": "model", "model_name": "model"}

    model: Name
    wait: Boolean = True
    stream: Boolean = False


class InstanceRequest(RequestModel):
    """`POST /instances`"""

    aliases: ClassVar[Mapping[str, str]] = {"model": "model_name"}

    model_name: Name
    params: JsonObject = {}
    """The engine's own start-up parameters, and ours."""
    ttl: KeepAlive | None = None
    name: String | None = None
    wait: Boolean = True
    stream: Boolean = False

    def ttl_s(self) -> float | None:
        """Seconds; below 0: for ever."""
        return -1.0 if self.ttl is not None and math.isinf(self.ttl) else self.ttl


def _endless(seconds: float) -> float | str:
    """As JSON can say it."""
    return "never" if math.isinf(seconds) else seconds


class LogLevelRequest(RequestModel):
    level: Annotated[str, one_of(LOG_LEVELS), BeforeValidator(_upper)]
