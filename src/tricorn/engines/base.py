"""The one interface that every inference engine implements, and the values that cross it.

Engines run inside an engine worker and know nothing of HTTP, chat messages or other models: token
ids in, token deltas out. This module imports no engine package.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence
from typing import Any, Literal

import msgspec

FinishReason = Literal["stop", "length"]


class EngineOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Start-up options that mean the same on every engine; None lets the engine choose.

    `engine_args` go to the engine whole: they are its own start-up parameters.
    """

    context_length: int | None = None
    """Tokens one sequence may hold, prompt and answer together."""
    max_num_seqs: int | None = None
    """Sequences decoded at the same time; more wait in the engine's queue."""
    prefill_budget: int | None = None
    """Prompt tokens prefilled in one step while other sequences are decoding."""
    threads: int | None = None
    engine_args: dict[str, Any] = {}


class Adapter(msgspec.Struct, frozen=True):
    """A LoRA adapter: small weights beside a model's own, chosen by each request."""

    name: str
    """Requests ask for it as `MODEL:NAME`."""
    path: str
    """A folder in PEFT's layout: adapter_config.json and adapter_model.safetensors."""
    rank: int
    version: int
    """Another one once its files have changed: their newest modification in nanoseconds."""


class ModelSpec(msgspec.Struct, frozen=True):
    """What the catalog knows of a model."""

    id: str
    path: str
    format: Literal["gguf", "hf", "mlx", "fake"]
    engine: str
    engine_reason: str
    size_bytes: int
    created: int
    """Unix seconds: the newest modification of its files."""
    options: EngineOptions = EngineOptions()
    fault: str | None = None
    """Why this model cannot be served, None when nothing is known against it."""
    device: str = ""
    """What the engine is to compute on: cuda, metal or cpu. Empty: its own choice."""
    adapters: tuple[Adapter, ...] = ()
    """Those that belong to this model; more may come and go while it is loaded."""


ConstraintKind = Literal["json_object", "json_schema", "regex", "choice", "grammar"]


class Constraint(msgspec.Struct, frozen=True):
    """What an answer must look like; only tokens that keep it possible are sampled."""

    kind: ConstraintKind
    value: str = ""
    """The JSON text of the schema; the regular expression; the JSON text of a list of strings; the
    grammar, in Lark's or GBNF's notation. Empty for json_object."""
    param: str = "response_format"
    """The request's field that asked for it, for errors."""


class EngineCapabilities(msgspec.Struct, frozen=True, array_like=True):
    """Optional abilities, as data: the gateway answers 400 for what is False here."""

    generate: bool = True
    embed: bool = False
    score: bool = False
    prompt_logprobs: bool = False
    constraints: bool = False
    adapters: bool = False
    """LoRA adapters can be used, loaded and dropped while it serves."""
    park: bool = False
    """It can give its device memory back and take it again sooner than by a load."""
    vision: bool = False
    """Chats may have images."""


class LoadedModel(msgspec.Struct, frozen=True):
    """Facts that are known once the model is in memory."""

    context_length: int
    """Tokens one sequence may hold, prompt and answer together."""
    vocab_size: int
    max_num_seqs: int
    capabilities: EngineCapabilities
    chat_template: str | None = None
    bos_token: str = ""
    eos_token: str = ""
    adds_bos: bool = False
    """The tokenizer puts `bos_token` in front of a plain prompt."""
    memory_bytes: int | None = None
    """Measured; None where the engine cannot tell."""
    details: dict[str, str | int | float | bool | None] = {}
    """The effective configuration, for people: threads, KV type, batch sizes and the like."""


class SamplingParams(msgspec.Struct, frozen=True, omit_defaults=True):
    """How tokens are chosen and when a sequence ends. Ranges are checked by the gateway."""

    temperature: float = 1.0
    """0 is greedy."""
    top_p: float = 1.0
    top_k: int = 0
    """0: off."""
    min_p: float = 0.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    repetition_penalty: float = 1.0
    logit_bias: dict[int, float] = {}
    seed: int | None = None
    stop: tuple[str, ...] = ()
    stop_token_ids: tuple[int, ...] = ()
    max_tokens: int | None = None
    """None: up to the end of the context. 0: prefill only."""
    min_tokens: int = 0
    ignore_eos: bool = False
    logprobs: int | None = None
    """None: none; k: the chosen token's and the k likeliest tokens' at each position."""
    n: int = 1
    constraint: Constraint | None = None


class GenerateRequest(msgspec.Struct, frozen=True):
    request_id: str
    prompt_token_ids: list[int]
    sampling: SamplingParams
    adapter: Adapter | None = None
    priority: int = 0
    """Lower ones get a place in the batch first; among equals, who came first."""
    prompt_logprobs: int | None = None
    """As `SamplingParams.logprobs`, of the prompt's own tokens."""


class TokenLogprob(msgspec.Struct, frozen=True, array_like=True):
    token: bytes
    """Raw bytes: a token need not be valid UTF-8."""
    logprob: float
    """Natural logarithm under the model's own distribution, before temperature and penalties."""
    token_id: int = -1
    top: list[TokenLogprob] = []
    """The likeliest tokens at this position, best first."""


class TokenDelta(msgspec.Struct, frozen=True, array_like=True):
    """What one step added to one sequence of a request."""

    index: int
    """Which of the request's `n` sequences."""
    text: str
    """Valid UTF-8, free of stop strings; may be empty while text is held back."""
    token_ids: list[int]
    finish_reason: FinishReason | None = None
    stop_reason: str | int | None = None
    """The stop string or stop token id that ended the sequence; None for the model's own end."""
    logprobs: list[TokenLogprob] | None = None
    cached_tokens: int | None = None
    """On the first delta of each sequence: prompt tokens served from the prefix cache."""
    prompt_logprobs: list[TokenLogprob] | None = None
    """On a request's very first delta, where it was asked for: of the prompt's tokens from the
    second one on, since nothing predicts the first."""


class Embeddings(msgspec.Struct, frozen=True):
    vectors: list[list[float]]
    prompt_tokens: int


class Scores(msgspec.Struct, frozen=True):
    scores: list[float]
    prompt_tokens: int


class EngineStats(msgspec.Struct, frozen=True, array_like=True):
    running: int = 0
    """Sequences that hold a place in the batch."""
    waiting: int = 0
    kv_used: float = 0.0
    """Share of KV cells held by running sequences, 0 to 1."""
    prefix_queries: int = 0
    """Prompt tokens looked up in the prefix cache since load."""
    prefix_hits: int = 0
    prompt_tokens: int = 0
    generated_tokens: int = 0
    preemptions: int = 0


class InferenceEngine(ABC):
    """One loaded model. Created unloaded; `load` is called once, `unload` at most once.

    All methods are called on the worker's event loop. Errors are `tricorn.errors` classes:
    `ModelLoadFailed` from `load`; `ContextLengthExceeded`, `InvalidRequest` and
    `EngineGenerateError` (this request only) or `EngineLost` (the engine is done) from the rest.
    """

    @abstractmethod
    async def load(self, spec: ModelSpec) -> LoadedModel:
        """Bring the model into memory and tell its facts."""

    @abstractmethod
    def generate(self, request: GenerateRequest) -> AsyncIterator[TokenDelta]:
        """Stream the request's deltas; ends after each sequence gave its finish_reason.

        Closing the iterator aborts what still runs.
        """

    @abstractmethod
    async def embed(self, prompts: Sequence[list[int]]) -> Embeddings:
        """One vector a prompt. Called only where `capabilities.embed`."""

    @abstractmethod
    async def score(self, query: list[int], documents: Sequence[list[int]]) -> Scores:
        """One relevance score a document. Called only where `capabilities.score`."""

    @abstractmethod
    def tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]:
        """Token ids of `text`. Safe to call from any thread after `load`.

        add_special: add what the tokenizer puts around a plain prompt (BOS and the like).
        parse_special: read control tokens written out in `text` as such.
        """

    @abstractmethod
    def detokenize(self, token_ids: Sequence[int]) -> bytes:
        """The bytes of the tokens, control tokens included. Safe to call from any thread."""

    @abstractmethod
    def stats(self) -> EngineStats:
        """Current load; cheap, called after every step."""

    async def check(self) -> None:  # noqa: B027 - optional
        """EngineLost where the engine is done although no request tells; called every second."""

    @abstractmethod
    async def unload(self) -> None:
        """Free what can be freed; the process ends after it."""
