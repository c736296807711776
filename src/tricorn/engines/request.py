"""What an engine is asked for, and what it gives back."""

from __future__ import annotations

import time
from typing import Any, Literal

import msgspec

from tricorn.chat.tools.rules import ToolRules
from tricorn.engines.spec import Adapter

FinishReason = Literal["stop", "length"]
ConstraintKind = Literal["json_object", "json_schema", "regex", "choice", "grammar"]


class Constraint(msgspec.Struct, frozen=True):
    """What an answer must look like; only tokens that keep it possible are sampled."""

    kind: ConstraintKind
    value: str = ""
    """The JSON text of the schema; the regular expression; the JSON text of a list of strings; the
    grammar, in Lark's or GBNF's notation. Empty for json_object."""
    param: str = "response_format"
    """The request's field that asked for it, for errors."""


class ThoughtLimit(msgspec.Struct, frozen=True, omit_defaults=True):
    """How many tokens a model may think, in its own format."""

    tokens: int
    begin: str
    """What a thought begins with; it counts for nothing, as its end does."""
    end: str
    """What the model ends a thought with."""
    forced: tuple[tuple[int, ...], ...]
    """Tokens that end the first thought that has reached the limit, the second, and so on; the
    last ones also all that follow."""
    opened: bool = False
    """The prompt has the beginning already."""
    again: bool = False
    """There may be several thoughts; else one, at the answer's beginning."""


class CallMarks(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where calls of tools stand in an answer's text."""

    begin: tuple[str, ...]
    end: str = ""
    """Empty: a call goes on to the text's end."""
    first: bool = False
    """They are the answer's beginning or there are none; white space in them does not matter."""


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
    thinking_budget: int | None = None
    """Tokens that a chat's answer may have of thoughts, as it was asked for. The worker, which
    knows the format of the model's thoughts, makes a `thought_limit` of it."""
    thought_limit: ThoughtLimit | None = None
    """Only where `capabilities.thinking_budget`."""
    calls: CallMarks | None = None
    """Calls of tools, in which `stop` does not count."""


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
    truncation: bool = False
    """The oldest turns may be dropped where it is too long (`chat.truncation`)."""


class RenderedChat(msgspec.Struct, frozen=True):
    """A chat as an engine that sees has rendered it."""

    token_ids: list[int]
    """One for every position, those of images included."""
    prompt: Any = None
    """The engine's own form of it, for `GenerateRequest.rendered`."""


class Waited:
    """How long a request waited for a place in the batch, which its engine tells, from any thread.
    It waits from now on."""

    __slots__ = ("_since", "seconds")

    def __init__(self) -> None:
        self._since = time.monotonic()
        self.seconds: float | None = None
        """None: it waits, or the engine does not tell."""

    def over(self) -> None:
        """Of its sequences the first that has a place counts, and of that the first time."""
        if self.seconds is None:
            self.seconds = time.monotonic() - self._since


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
    trace: dict[str, str] | None = None
    """The request's trace (`tracing.headers`), where there is one; then also …"""
    waited: Waited | None = None
    """… what the engine is to tell."""


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
