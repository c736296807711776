"""What an engine is told to load, and what it tells of what it has loaded."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from tricorn.model_facts.estimate import Estimate
from tricorn.model_facts.facts import FileFacts


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
    chat_template: str | None = None
    """Jinja's text, in place of the model's own templates."""
    prefix_cache: bool = True
    """Keep what ended sequences have computed, for prompts that begin like them."""
    cache_size: int | None = None
    """Ended sequences that are kept for that; None: the engine chooses."""
    memory: int | None = None
    """Bytes of main memory that it may count on for sizes that it chooses itself; None: what it
    finds free. The manager says so, no user: see `manager.memory.needs`."""


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


class Serving(msgspec.Struct, frozen=True):
    """How the manager treats a model. The engine knows nothing of it: a change needs no reload."""

    ttl_s: float | None = None
    """Seconds without a request after which it is unloaded; None: never."""
    preload: bool = False
    pinned: bool = False
    """Never unloaded for another model, nor after its ttl."""
    replicas: int = 1
    max_leases: int | None = None
    """Of each replica; None: twice its sequences."""
    shrink_context: bool = False
    """Where it can never fit, it is loaded with the longest context that does."""


class Binding(msgspec.Struct, frozen=True):
    """Where a model's engine processes run."""

    env: dict[str, str] = {}
    gpus: tuple[int, ...] | None = None
    """None: all that are there."""
    cpus: tuple[int, ...] | None = None
    numa_node: int | None = None


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
    facts: FileFacts | None = None
    """What its files tell; None where there are none."""
    estimate: Estimate | None = None
    """What a load takes of memory, on the machine as it was at the start; None: unknown."""
    aliases: tuple[str, ...] = ()
    """Other names that requests may call it by."""
    serving: Serving = Serving()
    binding: Binding = Binding()
    warnings: tuple[str, ...] = ()
    """What its settings ask for in vain, as sentences; it serves nevertheless."""


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
    thinking_budget: bool = False
    """Thoughts can be ended when they have a given number of tokens."""


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
    chat: bool = True
    """There is a template that can be used; without one it takes no chats."""
    variables: tuple[str, ...] = ()
    """What the template reads beside messages and tools, sorted; `chat_template_kwargs` sets it."""


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
    tool_template: str | None = None
    """Of chats with tools, where it is another one than `chat_template`."""
