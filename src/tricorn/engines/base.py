"""The one interface that every inference engine implements.

What crosses it is in `spec` (models) and `request` (requests and answers). Engines run inside an
engine worker and know nothing of HTTP or other models: token ids in, token deltas out. Those that
see also render chats, since what an image becomes is theirs to know. Nothing here imports an engine
package.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence

import msgspec

from tricorn.engines.request import (
    ChatPrompt,
    Embeddings,
    GenerateRequest,
    RenderedChat,
    Scores,
    TokenDelta,
)
from tricorn.engines.spec import Adapter, LoadedModel, ModelSpec


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
    steps: int = 0
    """Since load: grows whenever it has got on with its work."""
    pending: int = 0
    """Requests that it works on, or is to; while there are any, `steps` has to grow."""


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
