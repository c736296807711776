"""The one interface that every inference engine implements, and the values that cross it.

Engines run inside an engine worker and know nothing of HTTP or other models: token ids in, token
deltas out. Those that see also render chats, since what an image becomes is theirs to know. This
module imports no engine package.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence
from typing import Any, Literal

import msgspec

from tricorn.chat.tools.rules import ToolRules

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
    sleep_level: Literal[1, 2] = 1
    """Parked (vLLM): 1 keeps the weights in main memory, 2 reads them from their files again."""


class Adapter(msgspec.Struct, frozen=True):
    """A LoRA adapter: small weights beside a model's own, chosen by each request."""

    name: str
    """Requests ask for it as `MODEL:NAME`."""
    path: str
    """A folder in PEFT's layout: adapter_config.json and adapter_model.safetensors."""
    rank: int
    """The largest one of its layers."""
    version: int
    """Another one once its files have changed."""
    size_bytes: int = 0
    created: int = 0
    """Unix seconds: the newest modification of its files."""


class ModelSpec(msgspec.Struct, frozen=True):
    """What the catalog knows of a model."""

    id: str
    path: str
    format: Literal["gguf", "hf", "mlx", "fake", "lora"]
    """lora: an adapter that cannot be used; its `fault` says why."""
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
    """Chats may have images; all chats are rendered by `InferenceEngine.render_chat`."""
    fill_in_middle: bool = False
    """It can write what comes between a prompt and a suffix: see `LoadedModel.fill_tokens`."""


class FillTokens(msgspec.Struct, frozen=True):
    """The control tokens of a model that was trained to fill a gap in a text:
    prefix, what stands before it, suffix, what stands after it, middle, and then it writes."""

    prefix: int
    suffix: int
    middle: int


class Dialect(msgspec.Struct, frozen=True):
    """What a model's chat template writes, and so the model too."""

    tools: str = "emulated"
    """The format of tool calls (`chat.tools.formats`); emulated: the template knows none."""
    arguments_as_object: bool = True
    """How the template takes the arguments of calls; else as JSON text."""
    reasoning: str = ""
    """The format of thoughts (`chat.reasoning`); empty: none is known."""
    empty_content: bool = True
    """A message that is calls alone has empty text for the template; else null."""
    system_role: bool = True
    """The template has a place for a system message."""


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
    max_adapter_rank: int = 0
    """Adapters up to this rank can be used; 0 where none can be."""
    details: dict[str, str | int | float | bool | None] = {}
    """The effective configuration, for people: threads, KV type, batch sizes and the like."""
    fill_tokens: FillTokens | None = None
    """None: its vocabulary has none."""
    dimensions: int | None = None
    """Numbers in each vector of `embed`; None where it makes none."""
    shorter_dimensions: tuple[int, ...] | None = None
    """Lengths that its vectors may be cut to, which a model has to be trained for (Matryoshka);
    empty: any; None: none."""
    dialect: Dialect = Dialect()
    """Found out by the worker, not by the engine."""


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
    shown_tokens: tuple[int, ...] = ()
    """Control tokens whose names belong to the answer's text; of the others nothing is seen."""
    thought: tuple[str, str] | None = None
    """(begin, end) of a thought in front of the answer, in which `stop` does not count. An empty
    begin: the prompt has it already, otherwise the text may begin with it."""


class Image(msgspec.Struct, frozen=True, array_like=True):
    """A picture in a chat, as it came: PNG, JPEG, WebP or GIF."""

    data: bytes
    param: str = "messages"
    """Where the request has it, for errors: `messages[0].content[1].image_url.url`."""


class ChatPrompt(msgspec.Struct, frozen=True, tag="chat"):
    """A chat, which the model's template makes a prompt of."""

    messages: list[dict[str, Any]]
    """OpenAI's shape. The content is a string or None; with images it is a list of
    {"type": "text", "text": …} and {"type": "image"}, one of the latter for each of `images`."""
    tools: list[dict[str, Any]] | None = None
    add_generation_prompt: bool = True
    continue_final_message: bool = False
    template_kwargs: dict[str, Any] = {}
    images: list[Image] = []
    """In the order in which the messages have them."""
    rules: ToolRules = ToolRules()
    """Of `tools`."""


class RenderedChat(msgspec.Struct, frozen=True):
    """A chat as an engine that sees has rendered it."""

    token_ids: list[int]
    """One for every position, those of images included."""
    prompt: Any = None
    """The engine's own form of it, for `GenerateRequest.rendered`."""


class GenerateRequest(msgspec.Struct, frozen=True):
    request_id: str
    prompt_token_ids: list[int]
    sampling: SamplingParams
    adapter: Adapter | None = None
    priority: int = 0
    """Lower ones get a place in the batch first; among equals, who came first."""
    prompt_logprobs: int | None = None
    """As `SamplingParams.logprobs`, of the prompt's own tokens."""
    rendered: Any = None
    """`RenderedChat.prompt`, where the engine has rendered the chat itself."""


class TokenLogprob(msgspec.Struct, frozen=True, array_like=True):
    token: bytes
    """Raw bytes: a token need not be valid UTF-8."""
    logprob: float
    """Natural logarithm under the model's own distribution, before temperature and penalties."""
    token_id: int = -1
    top: list[TokenLogprob] = []
    """The likeliest tokens at this position, best first."""
    rank: int | None = None
    """1 for the likeliest token; told only of a prompt's."""


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
    second one on, since nothing predicts the first. Control tokens have their names as bytes."""


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

    async def render_chat(self, chat: ChatPrompt) -> RenderedChat:
        """The model's prompt for a chat, its images decoded. Called only where
        `capabilities.vision`; InvalidRequest names the image or message it cannot take."""
        raise TypeError("called without the capability vision")

    @abstractmethod
    async def embed(self, prompts: Sequence[list[int]]) -> Embeddings:
        """One vector of length 1 a prompt, which fits into the context. Prompts of all calls share
        the engine's batches. Called only where `capabilities.embed`."""

    @abstractmethod
    async def score(self, query: list[int], documents: Sequence[list[int]]) -> Scores:
        """One relevance score a document, 0 to 1. Query and documents come without special tokens:
        how a pair is put together is the model's. Called only where `capabilities.score`."""

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

    async def drop_adapter(self, adapter: Adapter) -> None:
        """Forget this version of an adapter once no request uses it; unknown ones are ignored.

        Called only where `capabilities.adapters`.
        """
        raise TypeError("called without the capability adapters")

    async def park(self) -> None:
        """Give the device's memory back; no request runs, and none comes before `wake`.

        Called only where `capabilities.park`.
        """
        raise TypeError("called without the capability park")

    async def wake(self) -> None:
        """Be as before `park`, but for the prefix cache, which is empty."""
        raise TypeError("called without the capability park")

    async def check(self) -> None:  # noqa: B027 - optional
        """EngineLost where the engine is done although no request tells; called every second."""

    @abstractmethod
    async def unload(self) -> None:
        """Free what can be freed; the process ends after it."""
