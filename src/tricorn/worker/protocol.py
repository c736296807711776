"""Messages between a gateway worker and an engine worker (data socket).

One connection a (gateway worker, engine worker) pair carries all requests of that pair. The first
frame is `Hello`. Each further frame from the gateway is one `Op`; each frame from the engine worker
is one `Frame`, sent once an engine step with what that step gave to all requests of the connection.
A lost connection cancels everything it carried.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from tricorn.chat.pieces import Reading
from tricorn.chat.truncation import Truncated
from tricorn.engines.base import EngineStats
from tricorn.engines.request import ChatPrompt as ChatPrompt
from tricorn.engines.request import SamplingParams, TokenDelta
from tricorn.engines.spec import Adapter, ModelSpec
from tricorn.errors import ErrorInfo
from tricorn.wire import decoder


class Launch(msgspec.Struct, frozen=True):
    """What the manager writes, as one line of JSON, to a new engine worker's standard input."""

    replica: str
    spec: ModelSpec
    control_address: str
    control_secret: str
    data_address: str
    """Where to listen: `unix:PATH` or `tcp:127.0.0.1:0` (the port is then chosen by the system)."""
    data_secret: str
    log_level: str = "INFO"
    log_json: bool = False
    cores: tuple[int, ...] | None = None
    """To run on; None: any."""
    log_file: str = ""
    """What a spare worker writes to from now on; others do so from their start."""


class TextPrompt(msgspec.Struct, frozen=True, tag="text"):
    text: str


class TokenPrompt(msgspec.Struct, frozen=True, tag="tokens"):
    token_ids: list[int]


class FillPrompt(msgspec.Struct, frozen=True, tag="fill"):
    """What comes between two texts is wanted; only of models with `LoadedModel.fill_tokens`."""

    before: str | list[int]
    after: str


Prompt = ChatPrompt | TextPrompt | TokenPrompt | FillPrompt


class Hello(msgspec.Struct, frozen=True, tag="hello"):
    secret: str = ""


class Start(msgspec.Struct, frozen=True, tag="start"):
    id: int
    """Chosen by the gateway, unique on its connection."""
    request_id: str
    prompt: Prompt
    sampling: SamplingParams
    prompt_text: bool = False
    """Ask for the prompt's text in `Started` (a completion's `echo` of token ids)."""
    adapter: Adapter | None = None
    priority: int = 0
    prompt_logprobs: int | None = None
    trace: dict[str, str] | None = None
    """The request's trace (`tracing.headers`), where there is one."""


class Embed(msgspec.Struct, frozen=True, tag="embed"):
    """Answered by `Vectors`, in the prompts' order."""

    id: int
    request_id: str
    prompts: list[TextPrompt | TokenPrompt]
    dimensions: int | None = None
    """Cut the vectors to this length; only what `LoadedModel.shorter_dimensions` allows."""


class Score(msgspec.Struct, frozen=True, tag="score"):
    """Answered by one `Scored`. A single query goes with every document, several with one each."""

    id: int
    request_id: str
    queries: list[str]
    documents: list[str]
    params: tuple[str, str] = ("query", "documents")
    """The request's fields that they came from, for errors."""


class Tokenize(msgspec.Struct, frozen=True, tag="tokenize"):
    """Answered by one `Tokenized`."""

    id: int
    request_id: str
    prompt: Prompt
    add_special: bool = True
    """Add what the tokenizer puts around a plain prompt."""
    pieces: bool = False
    """Ask for each token's own bytes."""
    max_tokens: int | None = None
    """As in `SamplingParams`, of an answer to a chat that may be truncated."""


class Detokenize(msgspec.Struct, frozen=True, tag="detokenize"):
    """Answered by one `Detokenized`."""

    id: int
    request_id: str
    token_ids: list[int]


class Cancel(msgspec.Struct, frozen=True, tag="cancel"):
    id: int


Request = Start | Embed | Score | Tokenize | Detokenize
"""Each is ended by `Finished` or `Failed`."""

Op = Hello | Request | Cancel


class Started(msgspec.Struct, frozen=True, array_like=True, tag="s"):
    """The prompt was rendered, tokenised and found to fit."""

    id: int
    prompt_tokens: int
    prompt_text: str | None = None
    first_token: bytes | None = None
    """The prompt's first token, where `prompt_logprobs` was asked for: they begin at the second."""
    reading: Reading | None = None
    """How the answer is to be read; None: its text is what it says."""
    truncated: Truncated | None = None
    """What was dropped of the chat; None: nothing."""


class Delta(msgspec.Struct, frozen=True, array_like=True, tag="d"):
    id: int
    delta: TokenDelta


class Vectors(msgspec.Struct, frozen=True, array_like=True, tag="v"):
    """The next vectors of an `Embed`."""

    id: int
    vectors: list[bytes]
    """Each packed: float32, little-endian."""
    prompt_tokens: int
    """Of the prompts that these belong to."""


class Scored(msgspec.Struct, frozen=True, array_like=True, tag="r"):
    id: int
    scores: list[float]
    prompt_tokens: int


class Tokenized(msgspec.Struct, frozen=True, array_like=True, tag="t"):
    id: int
    token_ids: list[int]
    pieces: list[bytes] | None = None
    text: str | None = None
    """Of a chat: what the model's template made of it."""
    truncated: Truncated | None = None
    """As in `Started`."""


class Detokenized(msgspec.Struct, frozen=True, array_like=True, tag="u"):
    id: int
    text: str


class Finished(msgspec.Struct, frozen=True, array_like=True, tag="f"):
    """The request is done: every sequence of it has ended."""

    id: int
    waited_s: float | None = None
    """Of a `Start` with a `trace`: for its place in the batch, where the engine tells."""


class Failed(msgspec.Struct, frozen=True, array_like=True, tag="e"):
    id: int
    error: ErrorInfo


Event = Started | Delta | Vectors | Scored | Tokenized | Detokenized | Finished | Failed


class Frame(msgspec.Struct, frozen=True, array_like=True):
    events: list[Event]
    stats: EngineStats


encode = msgspec.msgpack.Encoder().encode
decode_op: Callable[[bytes], Op] = decoder(Op)  # type: ignore[arg-type]
decode_frame = decoder(Frame)
