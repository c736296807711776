"""Messages between a gateway worker and an engine worker (data socket).

One connection a (gateway worker, engine worker) pair carries all requests of that pair. The first
frame is `Hello`. Each further frame from the gateway is one `Op`; each frame from the engine worker
is one `Frame`, sent once an engine step with what that step gave to all requests of the connection.
A lost connection cancels everything it carried.
"""

from __future__ import annotations

from typing import Any

import msgspec

from tricorn.engines.base import Adapter, EngineStats, ModelSpec, SamplingParams, TokenDelta
from tricorn.errors import ErrorInfo


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


class ChatPrompt(msgspec.Struct, frozen=True, tag="chat"):
    """Rendered with the model's chat template in the engine worker."""

    messages: list[dict[str, Any]]
    """OpenAI's shape, with the content already reduced to a string or None."""
    tools: list[dict[str, Any]] | None = None
    add_generation_prompt: bool = True
    continue_final_message: bool = False
    template_kwargs: dict[str, Any] = {}


class TextPrompt(msgspec.Struct, frozen=True, tag="text"):
    text: str


class TokenPrompt(msgspec.Struct, frozen=True, tag="tokens"):
    token_ids: list[int]


Prompt = ChatPrompt | TextPrompt | TokenPrompt


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


class Cancel(msgspec.Struct, frozen=True, tag="cancel"):
    id: int


Op = Hello | Start | Cancel


class Started(msgspec.Struct, frozen=True, array_like=True, tag="s"):
    """The prompt was rendered, tokenised and found to fit."""

    id: int
    prompt_tokens: int
    prompt_text: str | None = None


class Delta(msgspec.Struct, frozen=True, array_like=True, tag="d"):
    id: int
    delta: TokenDelta


class Finished(msgspec.Struct, frozen=True, array_like=True, tag="f"):
    """Every sequence of the request has ended."""

    id: int


class Failed(msgspec.Struct, frozen=True, array_like=True, tag="e"):
    id: int
    error: ErrorInfo


Event = Started | Delta | Finished | Failed


class Frame(msgspec.Struct, frozen=True, array_like=True):
    events: list[Event]
    stats: EngineStats


encode = msgspec.msgpack.Encoder().encode
decode_op = msgspec.msgpack.Decoder(Op).decode
decode_frame = msgspec.msgpack.Decoder(Frame).decode
