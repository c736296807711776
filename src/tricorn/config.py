"""Settings: flags over environment over `.env` over `tricorn.yaml` over the defaults here.

Parsed once, at start, and passed down. Names nobody knows are refused in `.env` and `tricorn.yaml`
(the environment itself is full of other programs' names). Each setting's environment name is its
field name in capitals; `.env.example` lists the same names, which a test holds true.
"""

from __future__ import annotations

import difflib
import getpass
import hashlib
import os
import tempfile
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.functional_validators import BeforeValidator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    YamlConfigSettingsSource,
)

from tricorn.engines.spec import EngineOptions
from tricorn.errors import StartupError


def _comma_list(value: object) -> object:
    return (
        [part.strip() for part in value.split(",") if part.strip()]
        if isinstance(value, str)
        else value
    )


CommaList = Annotated[list[str], NoDecode, BeforeValidator(_comma_list)]


class ModelSettings(BaseModel):
    """What `tricorn.yaml` may say of one model, under `models: NAME:`."""

    model_config = ConfigDict(extra="forbid")

    path: Path | None = None
    """Of a file or folder outside MODEL_BASE_PATH; unset: the model of this name found there."""
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

    def options(self, defaults: Settings) -> EngineOptions:
        """These settings over the server-wide ones."""
        return EngineOptions(
            context_length=self.context_length or defaults.context_length,
            max_num_seqs=self.max_num_seqs or defaults.max_num_seqs,
            prefill_budget=self.prefill_budget or defaults.prefill_budget,
            threads=self.threads or defaults.max_cpu_threads,
            engine_args=self.engine_args,
            sleep_level=self.sleep_level,
        )


class Settings(BaseSettings):
    model_config = SettingsConfigDict(extra="forbid", env_ignore_empty=True)

    # --- serving
    host: str = "127.0.0.1"
    """Address to listen on; 0.0.0.0 for every interface."""
    port: int = Field(8000, ge=1, le=65535)
    workers: int = Field(0, ge=0, le=256)
    """Gateway processes; 0: one in dev, one for every two cores (2 to 8) in prod."""
    mode: Literal["dev", "prod"] = "prod"
    max_body_bytes: int = Field(32 * 1024 * 1024, ge=1024)
    max_images: int = Field(16, ge=0)
    """Images in a request."""
    max_image_bytes: int = Field(20 * 1024 * 1024, ge=1024)
    """Of each image; all of a request's together may have MAX_BODY_BYTES."""
    max_image_pixels: int = Field(36_000_000, ge=1)
    """Width times height of an image."""
    fetch_images: bool = False
    """Fetch images that a request names by an http(s) address, from public addresses only."""
    image_fetch_timeout_s: float = Field(10.0, gt=0)
    strict_fields: bool = False
    """400 for request fields that nobody knows, instead of naming them in x-tricorn-ignored."""
    reasoning_field: Literal["both", "reasoning_content", "reasoning"] = "both"
    """What chat completions call a model's thoughts; clients read the one name or the other."""
    cors_origins: CommaList = ["*"]
    """Origins that browsers may call from, separated by commas; * for any, empty for none."""
    sse_keepalive_s: float = Field(15.0, gt=0)
    """Seconds of silence after which a stream gets an SSE comment."""

    # --- models
    model_base_path: Path = Path("models")
    default_model: str | None = None
    """The model to load at start; unset: the one in models/, else the small one that is shipped."""
    inference_engine: str = "auto"
    """auto, or an engine's name: llamacpp, vllm or mlx."""
    device_type: Literal["auto", "cpu", "cuda", "metal"] = "auto"
    """What the engines compute on; auto takes the best that this machine has."""
    max_concurrent_models: int = Field(1, ge=1)
    """Models in memory at the same time; the least recently used idle one makes room."""
    max_parked_models: int = Field(1, ge=0)
    """Models that made room and may keep their process, off the device; 0: none."""
    context_length: int | None = Field(None, ge=16)
    max_num_seqs: int | None = Field(None, ge=1)
    prefill_budget: int | None = Field(None, ge=1)
    """Prompt tokens prefilled in a step while others decode."""
    max_cpu_threads: int | None = Field(None, ge=1)
    models: dict[str, ModelSettings] = {}
    """Per model; in tricorn.yaml."""

    # --- waiting
    load_timeout_s: float = Field(600.0, gt=0)
    max_waiting: int = Field(256, ge=0)
    """Requests a model may have waiting for a lease; more get 503 at once."""
    max_wait_s: float = Field(600.0, gt=0)
    drain_timeout_s: float = Field(30.0, ge=0)
    """Seconds that running requests get to finish when Tricorn is stopped."""

    # --- stored responses
    responses_ttl_s: int = Field(30 * 24 * 3600, ge=1)
    """Seconds that a response is kept after its conversation was last continued."""
    max_stored_responses: int = Field(10_000, ge=0)
    """0: none is kept."""
    max_stored_bytes: int = Field(1024 * 1024 * 1024, ge=1024)
    """Of all stored responses and their inputs together."""

    # --- processes
    engines_dir: Path = Path(".engines")
    """Where the engines' own environments are; ENGINES_DIR/NAME each."""
    data_dir: Path = Path("data")
    log_dir: Path = Path("logs")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_format: Literal["auto", "console", "json"] = "auto"
    """auto: console in dev, json in prod."""
    run_dir: Path | None = None
    """Private sockets; unset: one for each port in the system's temporary directory."""
    transport: Literal["auto", "unix", "tcp"] = "auto"
    """Between Tricorn's processes. tcp: loopback with a per-start secret; auto: unix if it can."""

    _yaml_file: ClassVar[Path | None] = None

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        sources = [init_settings, env_settings, dotenv_settings]
        if cls._yaml_file is not None:
            sources.append(YamlConfigSettingsSource(settings_cls, yaml_file=cls._yaml_file))
        return tuple(sources)

    def gateway_workers(self) -> int:
        if self.workers:
            return self.workers
        return 1 if self.mode == "dev" else min(8, max(2, (os.cpu_count() or 1) // 2))

    def use_unix_sockets(self) -> bool:
        return self.transport == "unix" or (self.transport == "auto" and os.name == "posix")

    def log_json(self) -> bool:
        return self.log_format == "json" or (self.log_format == "auto" and self.mode == "prod")

    def runtime_dir(self) -> Path:
        """Where this instance's sockets lie. Short: a unix socket's path has room for 107 bytes."""
        if self.run_dir is not None:
            return self.run_dir.resolve()
        user = hashlib.sha256(getpass.getuser().encode()).hexdigest()[:8]
        return Path(tempfile.gettempdir()) / f"tricorn-{user}" / str(self.port)


def load_settings(
    flags: dict[str, Any] | None = None,
    *,
    config_file: Path | None = None,
    directory: Path | None = None,
) -> Settings:
    """Read every source once. StartupError says which name is wrong, where, and the nearest known.

    flags: field name → value, those that were given.
    config_file: `tricorn.yaml`; None: the one in `directory`, if there.
    directory: where `.env` and `tricorn.yaml` are looked for; None: the current one.
    """
    directory = directory or Path.cwd()
    yaml_file = config_file or directory / "tricorn.yaml"
    if config_file is not None and not config_file.is_file():
        raise StartupError(f"there is no configuration file {config_file}")

    class Sources(Settings):
        _yaml_file = yaml_file if yaml_file.is_file() else None

    try:
        loaded = Sources(_env_file=directory / ".env", **(flags or {}))  # type: ignore[call-arg]
    except ValidationError as error:
        raise StartupError(_explain(error)) from error
    except SettingsError as error:
        raise StartupError(f"the settings cannot be used:\n  {error}") from error
    except (yaml.YAMLError, ValueError) as error:
        raise StartupError(f"{yaml_file} cannot be read: {error}") from error
    return loaded


def _explain(error: ValidationError) -> str:
    lines = []
    for item in error.errors():
        name = ".".join(str(part) for part in item["loc"])
        if item["type"] == "extra_forbidden":
            level = ModelSettings if len(item["loc"]) > 1 else Settings
            last = str(item["loc"][-1]).lower()
            near = difflib.get_close_matches(last, level.model_fields, n=1)
            lines.append(
                f"{name}: no such setting" + (f"; did you mean {near[0]}?" if near else "")
            )
        else:
            lines.append(f"{name}: {item['msg']} (got {item['input']!r})")
    return "the settings cannot be used:\n  " + "\n  ".join(lines)
