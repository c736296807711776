"""The settings, with their defaults. `settings_loading` reads them, at start and at each reload;
then they are passed down.

Each setting's environment name is its field name in capitals; `.env.example` lists the same names,
which a test holds true, and docs/configuration.md is written from the docstrings here.
"""

from __future__ import annotations

import getpass
import hashlib
import ipaddress
import os
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from pydantic import Field, PlainSerializer, SecretStr, field_validator, model_validator
from pydantic.functional_validators import AfterValidator, BeforeValidator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from tricorn.engines.registry import ENGINES
from tricorn.engines.spec import EngineOptions
from tricorn.loopback import is_loopback
from tricorn.model_names import ModelName
from tricorn.settings import file as settings_file
from tricorn.settings.model_settings import ModelDefaults as ModelDefaults
from tricorn.settings.model_settings import ModelSettings as ModelSettings
from tricorn.settings.quantities import FOREVER, Duration, MemoryAmount


def _comma_list(value: object) -> object:
    return (
        [part.strip() for part in value.split(",") if part.strip()]
        if isinstance(value, str)
        else value
    )


CommaList = Annotated[list[str], NoDecode, BeforeValidator(_comma_list)]


def _network(value: str) -> str:
    try:
        return str(ipaddress.ip_network(value, strict=False))
    except ValueError:
        raise ValueError(f"{value!r} is no address, and no network such as 10.0.0.0/8") from None


Networks = Annotated[
    list[Annotated[str, AfterValidator(_network)]], NoDecode, BeforeValidator(_comma_list)
]


def _long(least: int, most: int) -> AfterValidator:
    """Of characters, of a secret."""

    def check(value: SecretStr) -> SecretStr:
        if not least <= len(value.get_secret_value()) <= most:
            raise ValueError(f"must have {least} to {most} characters")
        return value

    return AfterValidator(check)


ApiKey = Annotated[SecretStr, _long(8, 256)]
ApiKeys = Annotated[list[ApiKey], NoDecode, BeforeValidator(_comma_list)]
SigningSecret = Annotated[
    SecretStr,
    _long(32, 4096),
    PlainSerializer(lambda value: value.get_secret_value(), when_used="json"),
]
"""Gateways need it, and get their settings as JSON, in a file for their user's eyes only."""

DEFAULTS = "defaults"
"""Under `models:` no model, but what all of them have in common."""


class Settings(BaseSettings):
    # Without "strings" an endless duration would be null in JSON, by which gateways get these.
    model_config = SettingsConfigDict(
        extra="forbid", env_ignore_empty=True, ser_json_inf_nan="strings"
    )

    # --- serving
    host: str = "127.0.0.1"
    """Address to listen on; 0.0.0.0 for every interface."""
    port: int = Field(8000, ge=1, le=65535)
    """Port to listen on."""
    workers: int = Field(0, ge=0, le=256)
    """Gateway processes; 0: one in dev, one for every two cores (2 to 8) in prod."""
    gateway_server: Literal["auto", "gunicorn", "pywsgi"] = "auto"
    """What serves HTTP. pywsgi: one process, whatever WORKERS says; auto: gunicorn, but on Windows,
    where there is none."""
    mode: Literal["dev", "prod"] = "prod"
    """dev: the gateway is reloaded when its source changes, and logs are for people."""
    max_body_bytes: int = Field(32 * 1024 * 1024, ge=1024)
    """Longest request body; of one that is compressed, what comes out of it."""
    max_messages: int = Field(10_000, ge=1)
    """Messages in a request; their parts and calls, all together, ten times as many."""
    max_images: int = Field(16, ge=0)
    """Images in a request."""
    max_image_bytes: int = Field(20 * 1024 * 1024, ge=1024)
    """Of each image; all of a request's together may have MAX_BODY_BYTES."""
    max_image_pixels: int = Field(36_000_000, ge=1)
    """Width times height of an image."""
    fetch_images: bool = False
    """Fetch images that a request names by an http(s) address, from public addresses only."""
    image_fetch_timeout_s: float = Field(10.0, gt=0)
    """Seconds that the images of a request may take to be fetched."""
    strict_fields: bool = False
    """400 for request fields that nobody knows, instead of naming them in x-tricorn-ignored."""
    reasoning_field: Literal["both", "reasoning_content", "reasoning"] = "both"
    """What chat completions call a model's thoughts; clients read the one name or the other."""
    cors_origins: CommaList = ["*"]
    """Origins that browsers may call from, separated by commas; * for any, empty for none. Models
    are managed only from those that are named, and from the server's own."""
    sse_keepalive_s: float = Field(15.0, gt=0)
    """Seconds of silence after which a stream gets an SSE comment."""
    request_timeout_s: float = Field(0.0, ge=0)
    """Seconds after which a request to a model ends, done or not; 0: never. A client asks for less
    by the header x-request-timeout."""

    # --- connections
    tls_cert: Path | None = None
    """Certificate, and those up to its root, in PEM: with it the gateway speaks https only. Another
    one in the same file is taken over within seconds."""
    tls_key: Path | None = None
    """The certificate's private key, without a password; unset: it is in the same file."""
    trusted_proxies: Networks = []
    """Addresses and networks (10.0.0.0/8) of proxies, separated by commas: what they say of clients
    is believed, of nobody else."""
    proxy_headers: Literal["x-forwarded", "forwarded"] = "x-forwarded"
    """Where trusted proxies say it: X-Forwarded-For, -Proto, -Host and -Prefix, or Forwarded."""
    header_timeout_s: float = Field(30.0, gt=0)
    """Seconds that a request's head may take to come, and a TLS handshake."""
    body_timeout_s: float = Field(30.0, gt=0)
    """Seconds that a request's body may take to come, and one more for each MIN_TRANSFER_RATE bytes
    of it that came."""
    send_timeout_s: float = Field(60.0, gt=0)
    """Seconds that a client may take nothing of its answer, likewise."""
    min_transfer_rate: int = Field(8192, ge=1)
    """Bytes a second, in both directions."""
    keepalive_timeout_s: float = Field(75.0, gt=0)
    """Seconds that a connection may be without a request."""
    max_connections: int = Field(4096, ge=1)
    """Of each gateway process; more wait until one ends."""

    # --- access
    auth: Literal["auto", "required", "off"] = "auto"
    """Whether requests need an API key. auto: where HOST is not of loopback, and where API_KEYS or
    JWT_SECRET is set. What manages models and keys needs one in any case once there is one."""
    api_keys: ApiKeys = []
    """Keys that may do everything, separated by commas, of 8 characters or more; others are made by
    `tricorn keys create`."""
    api_key_in_query: bool = False
    """Take keys from addresses (`?api_key=`) too, where proxies and browsers write them down."""
    jwt_secret: SigningSecret | None = None
    """Whoever has it can sign tokens (JWT, HS256) that are taken as keys."""
    metrics_public: bool = False
    """`/metrics` without a key."""
    docs_public: bool = False
    """`/docs` and `/openapi.json` without a key."""

    # --- models
    model_base_path: Path = Path("models")
    """The folder that is scanned for models."""
    default_model: str | None = None
    """The model to load at start; unset: the one in models/, else the small one that is shipped."""
    inference_engine: str = "auto"
    """auto, or an engine's name: llamacpp, vllm or mlx."""
    device_type: Literal["auto", "cpu", "cuda", "metal"] = "auto"
    """What the engines compute on; auto takes the best that this machine has."""
    allowed_model_paths: CommaList = []
    """Folders that `POST /v1/models/load` may name paths in, beside MODEL_BASE_PATH."""
    hf_cache: bool = True
    """List the models of the Hugging Face cache too."""
    max_concurrent_models: int = Field(0, ge=0)
    """Models in memory at the same time; 0: as many as fit."""
    max_cpu_memory: MemoryAmount | None = None
    """Of main memory, for all models together: a size or a share; unset: what the machine has,
    less a reserve."""
    max_gpu_memory: MemoryAmount | None = None
    """Of each GPU, likewise."""
    shrink_context: bool = False
    """Load a model that can never fit with the longest context that does."""
    ttl: Duration = FOREVER
    """Seconds without a request after which a model is unloaded."""
    max_swap_wait_s: float = Field(10.0, ge=0)
    """How long a model in use may keep a waiting one out before it takes no new requests."""
    replica_start_interval_s: float = Field(0.0, ge=0)
    """Between the starts of a model's replicas."""
    model_start_interval_s: float = Field(0.0, ge=0)
    """Between the starts of engine processes, of whatever model, so that many loads at once do not
    slow each other down."""
    max_parked_models: int = Field(1, ge=0)
    """Models that made room and may keep their process, off the device; 0: none."""
    spare_workers: int = Field(1, ge=0, le=16)
    """Engine processes that wait for the next load (llama.cpp), 45 MB each; 0: loads take half a
    second longer."""
    context_length: int | None = Field(None, ge=16)
    """Tokens that one sequence may hold, prompt and answer together; unset: the engine chooses."""
    max_num_seqs: int | None = Field(None, ge=1)
    """Sequences decoded at the same time, the others wait; unset: the engine chooses."""
    prefill_budget: int | None = Field(None, ge=1)
    """Prompt tokens prefilled in a step while others decode."""
    max_cpu_threads: int | None = Field(None, ge=1)
    """Threads an engine may use; unset: the physical cores that it may run on."""
    enable_caching: bool = True
    """Keep the prefixes of ended requests for later ones."""
    cache_size: int | None = Field(None, ge=1)
    """Ended sequences that an engine keeps for that; unset: the engine chooses."""
    engine_args: dict[str, dict[str, Any]] = {}
    """By engine: start-up parameters of all its models, under each model's own."""
    vllm_tensor_parallel_size: int | None = Field(None, ge=1)
    """GPUs that each layer of vLLM's models is divided over."""
    vllm_pipeline_parallel_size: int | None = Field(None, ge=1)
    """Groups of GPUs that the layers are divided over."""
    vllm_data_parallel_size: int | None = Field(None, ge=1)
    """Copies of a model, in one replica."""
    vllm_gpu_memory_utilization: float | None = Field(None, gt=0, le=1)
    """The share of each GPU's memory that a model takes."""
    vllm_max_model_len: int | None = Field(None, ge=16)
    """The context length of vLLM's models; unset: CONTEXT_LENGTH."""
    vllm_dtype: str | None = None
    """What is computed with: auto, bfloat16, float16, float32."""
    vllm_quantization: str | None = None
    """awq, gptq, fp8 and so on; unset: as the model's files say."""
    vllm_kv_cache_dtype: str | None = None
    """What the KV cache is kept in: auto, fp8 and so on."""
    vllm_enforce_eager: bool | None = None
    """Compile nothing, and capture no CUDA graphs."""
    vllm_trust_remote_code: bool | None = None
    """Run the Python code that models bring along."""
    models: dict[ModelName, ModelSettings] = {}
    """Of single models, by name; each has the defaults of all models under its own."""
    model_defaults: ModelDefaults = Field(default_factory=lambda: ModelDefaults.model_validate({}))
    """Of all models, also of those that `models` does not name; in tricorn.yaml rather as
    `models: defaults:`."""
    max_instances: int = Field(8, ge=0)
    """Named instances (`POST /instances`) at the same time."""
    instance_ttl: Duration = 3600.0
    """Seconds without a request after which an instance ends, unless it was made with its own."""
    allow_model_deletion: bool = False
    """`DELETE /v1/models/{name}` removes the files."""

    # --- downloads
    hf_endpoint: str | None = None
    """The hub that models are pulled from; unset: huggingface.co."""
    hf_home: Path | None = None
    """Its folder `hub` is the Hugging Face cache; unset: ~/.cache/huggingface."""
    hf_hub_cache: Path | None = None
    """The Hugging Face cache, where it is elsewhere."""
    hf_token: SecretStr | None = None
    """For models that ask for one."""
    http_proxy: str | None = None
    """For downloads."""
    https_proxy: str | None = None
    """For downloads."""
    no_proxy: str | None = None
    """Hosts that are asked without a proxy, separated by commas."""

    # --- waiting
    load_timeout_s: float = Field(600.0, gt=0)
    """Seconds a model may take to load."""
    max_concurrent_requests: int | None = Field(None, ge=1)
    """Requests that are served at the same time, of all models together; more wait."""
    max_waiting: int = Field(256, ge=0)
    """Requests a model may have waiting for a lease; more are refused at once."""
    max_wait_s: float = Field(600.0, gt=0)
    """Seconds that a request may wait for a lease."""
    drain_timeout_s: float = Field(30.0, ge=0)
    """Seconds that running requests get to finish when Tricorn is stopped."""

    # --- supervision
    canary_interval_s: float = Field(600.0, ge=0)
    """A model that was idle so long is tried with one token; 0: never."""
    hang_timeout_s: float = Field(120.0, ge=0)
    """An engine that has work and makes no progress so long is killed and restarted; 0: never."""
    max_restarts: int = Field(5, ge=0)
    """A model that fails more often within RESTART_WINDOW_S is not tried again by itself."""
    restart_window_s: float = Field(600.0, gt=0)
    """Seconds; see `max_restarts`."""

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
    """What outlives a start."""
    log_dir: Path = Path("logs")
    """Log files; what engines write goes to LOG_DIR/engines."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """What is said less than this is not logged."""
    log_max_bytes: int = Field(64 * 1024 * 1024, ge=1024)
    """Size at which a log file begins anew, as it does each day."""
    log_keep_days: int = Field(14, ge=0)
    """Days that such files are kept after that."""
    log_keep_files: int = Field(20, ge=0)
    """Of each such file, how many at most are kept."""
    log_prompts: bool = False
    """Write what requests say to LOG_DIR/inference.log."""
    log_format: Literal["auto", "console", "json"] = "auto"
    """auto: console in dev, json in prod."""
    run_dir: Path | None = None
    """Private sockets; unset: one for each port in the system's temporary directory."""
    transport: Literal["auto", "unix", "tcp"] = "auto"
    """Between Tricorn's processes. tcp: loopback with a per-start secret; auto: unix if it can."""

    @model_validator(mode="before")
    @classmethod
    def _defaults_among_the_models(cls, data: Any) -> Any:
        models = data.get("models") if isinstance(data, dict) else None
        if not isinstance(models, dict) or DEFAULTS not in models:
            return data
        if data.get("model_defaults"):
            raise ValueError("model_defaults and models.defaults are the same: give one")
        rest = {name: entry for name, entry in models.items() if name != DEFAULTS}
        return data | {"models": rest, "model_defaults": models[DEFAULTS]}

    @field_validator("engine_args")
    @classmethod
    def _known_engines(cls, given: dict[str, Any]) -> dict[str, Any]:
        for name in given:
            if name not in ENGINES:
                near = settings_file.nearest(name, ENGINES)
                hint = f"did you mean {near}?" if near else f"there are: {', '.join(ENGINES)}"
                raise ValueError(f"there is no engine {name!r}; {hint}")
        return given

    @model_validator(mode="after")
    def _models_over_their_defaults(self) -> Settings:
        shared = self.model_defaults
        self.models = {name: entry.over(shared) for name, entry in self.models.items()}
        return self

    @model_validator(mode="after")
    def _key_with_its_certificate(self) -> Settings:
        if self.tls_key is not None and self.tls_cert is None:
            raise ValueError("tls_key: there is no tls_cert that it belongs to")
        return self

    def options(self) -> EngineOptions:
        """The server-wide start-up options of every engine."""
        return EngineOptions(
            context_length=self.context_length,
            max_num_seqs=self.max_num_seqs,
            prefill_budget=self.prefill_budget,
            threads=self.max_cpu_threads,
            prefix_cache=self.enable_caching,
            cache_size=self.cache_size,
        )

    def engine_options(self, engine: str) -> EngineOptions:
        """Those, and what is said of all models of that engine."""
        options = self.options()
        named = {
            name.removeprefix("vllm_"): getattr(self, name)
            for name in type(self).model_fields
            if engine == "vllm" and name.startswith("vllm_") and getattr(self, name) is not None
        }
        # Not as an argument, which would go before a model's own context_length.
        longest = named.pop("max_model_len", options.context_length)
        arguments = named | self.engine_args.get(engine, {})
        return msgspec.structs.replace(options, context_length=longest, engine_args=arguments)

    def gateway_workers(self) -> int:
        if self.workers:
            return self.workers
        return 1 if self.mode == "dev" else min(8, max(2, (os.cpu_count() or 1) // 2))

    def single_gateway_process(self) -> bool:
        """Whether gevent's own server is used, which has one process."""
        if self.gateway_server == "auto":
            return sys.platform == "win32"
        return self.gateway_server == "pywsgi"

    def requires_key(self) -> bool:
        """Whether every request needs an API key, even if there is none yet."""
        if self.auth != "auto":
            return self.auth == "required"
        return bool(self.api_keys) or self.jwt_secret is not None or not is_loopback(self.host)

    def scheme(self) -> str:
        """What clients speak with the gateway."""
        return "http" if self.tls_cert is None else "https"

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
