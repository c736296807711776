"""Messages on the manager's control socket.

Gateways and engine workers are its clients. The first frame a client sends is `Hello`; the manager
answers a gateway's with a `Snapshot` and pushes a new one on every change. Calls carry a number
that the client chose and that comes back with the answer. What a connection held (leases, waiting
calls) ends with the connection.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import msgspec

from tricorn.access.rate import Rate
from tricorn.access.terms import Allowance
from tricorn.engines.base import EngineStats
from tricorn.engines.spec import Adapter, Dialect, EngineCapabilities, LoadedModel
from tricorn.errors import ErrorInfo
from tricorn.model_facts.estimate import Estimate
from tricorn.model_facts.facts import FileFacts
from tricorn.wire import decoder

ReplicaState = Literal["UNLOADED", "LOADING", "READY", "DRAINING", "PARKED", "FAILED"]


class ModelInfo(msgspec.Struct, frozen=True, array_like=True):
    """What a gateway may tell its clients of a model."""

    id: str
    created: int
    engine: str
    engine_reason: str
    format: str
    size_bytes: int
    state: ReplicaState
    context_length: int | None = None
    """Known once it has been loaded."""
    fault: str | None = None
    """Why it cannot be served until somebody mends it."""
    capabilities: EngineCapabilities | None = None
    """Known once it has been loaded."""
    parent: str | None = None
    """An adapter: the model that it belongs to, whose state and abilities are its own."""
    failure: str | None = None
    """Of its last load or run; it is tried again."""
    dialect: Dialect | None = None
    """Known once it has been loaded, as what follows."""
    dimensions: int | None = None
    """As `LoadedModel.dimensions` …"""
    shorter_dimensions: tuple[int, ...] | None = None
    """… and `LoadedModel.shorter_dimensions`."""
    memory_bytes: int | None = None
    """As `LoadedModel.memory_bytes`, while it is loaded."""
    details: dict[str, str | int | float | bool | None] = {}
    """As `LoadedModel.details`."""
    device: str = ""
    """As `ModelSpec.device`."""
    facts: FileFacts | None = None
    """As `ModelSpec.facts`."""
    estimate: Estimate | None = None
    """As `ModelSpec.estimate`."""
    aliases: tuple[str, ...] = ()
    """As `ModelSpec.aliases`."""
    instance_of: str | None = None
    """A named instance, which no list of models shows: the model whose files it has."""
    replicas: int = 1
    """How many it may have at once."""

    @property
    def trouble(self) -> str | None:
        """What is wrong with it now, in a sentence."""
        return self.fault or self.failure


# --- from clients -----------------------------------------------------------------------------


class Hello(msgspec.Struct, frozen=True, tag="hello"):
    role: Literal["gateway", "worker"]
    pid: int
    secret: str = ""
    replica: str = ""
    """An engine worker: which replica it is."""


class Claim(msgspec.Struct, frozen=True, array_like=True):
    """By which key a lease is asked for. Gateways have looked at the key already."""

    key_id: str
    allowance: Allowance
    reserve: int = 0
    """Tokens that it may take, prompt and answer together."""
    again: bool = False
    """It had a lease of an engine that was lost, and counts as the same request."""


class Acquire(msgspec.Struct, frozen=True, tag="acquire"):
    """Ask for a lease on a replica of `model`, loading it if need be."""

    call: int
    model: str
    request_id: str
    key: str = ""
    """Whose request it is: waiting calls of different keys are served in turn."""
    prefix: tuple[int, ...] = ()
    """Hashes of the conversation's beginnings, the shortest first (`chat.prefix_chain`)."""
    keep_alive_s: float | None = None
    """Seconds without a request after which the model is unloaded from now on; None: as it is set
    up."""
    claim: Claim | None = None
    """None: nobody's in particular, without limits."""
    trace: dict[str, str] | None = None
    """The request's trace (`tracing.headers`), where there is one."""


class Withdraw(msgspec.Struct, frozen=True, tag="withdraw"):
    """The caller of `call` no longer waits. A lease granted meanwhile is given back by it."""

    call: int


class Release(msgspec.Struct, frozen=True, tag="release"):
    lease: int
    lost: bool = False
    """The replica's data socket broke: check it before it is leased again."""
    prompt_tokens: int = 0
    """That were taken with it …"""
    completion_tokens: int = 0
    """… and given."""


class Loading(msgspec.Struct, frozen=True, tag="loading"):
    """An engine worker tells how far its load has come, 0 to 1."""

    progress: float


class Ready(msgspec.Struct, frozen=True, tag="ready"):
    address: str
    model: LoadedModel


class LoadFailed(msgspec.Struct, frozen=True, tag="load_failed"):
    """It could not be loaded, or not parked or woken."""

    error: ErrorInfo


class Parked(msgspec.Struct, frozen=True, tag="parked"):
    """`Park` was done: the device's memory is free."""


class Woken(msgspec.Struct, frozen=True, tag="woken"):
    """`Wake` was done: all is as after `Ready`, but no prefix is cached."""


class CanaryDone(msgspec.Struct, frozen=True, tag="canary_done"):
    """The answer to `Canary`."""

    error: ErrorInfo | None = None
    """Why nothing came of it."""


class Stats(msgspec.Struct, frozen=True, tag="stats"):
    """An engine worker's current figures, every second: also its sign of life."""

    stats: EngineStats


WorkerMessage = Loading | Ready | LoadFailed | Parked | Woken | CanaryDone | Stats
"""What an engine worker says after its `Hello`."""


class Order(msgspec.Struct, frozen=True, tag="order"):
    """Something other than a lease is wanted; answered by `Told` or `Refused`, with `call`, and
    maybe by `Progress` before. `Withdraw` ends the waiting, and what only it waited for."""

    call: int
    command: str
    """As `manager.desk.orders` knows them."""
    arguments: dict[str, Any] = {}


class EndedRequest(msgspec.Struct, frozen=True, array_like=True):
    """A request to a model that has been answered. Seconds are None where it did not get so far,
    and so are counts that nobody took."""

    time: float
    """Of its end, Unix seconds."""
    request_id: str
    route: str
    """As it is registered: `/v1/chat/completions`."""
    status: int
    seconds: float
    """From its arrival to the end of its answer."""
    key: str = ""
    """The id of the API key that it came with; empty: none."""
    model: str = ""
    """What it asked for, or what it got, where `served`."""
    served: bool = False
    """It had a lease."""
    replica: str = ""
    stream: bool = False
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cached_tokens: int | None = None
    """Of the prompt, from the prefix cache."""
    queue_s: float | None = None
    """Until it got its lease: also while the model was loaded."""
    prefill_s: float | None = None
    """From then on until the first token: also what it waited in the engine."""
    ttft_s: float | None = None
    """From its arrival to the first token."""
    decode_s: float | None = None
    """From the first token to the last one."""
    gaps: list[int] = []
    """Between tokens of its first sequence, counted by `metrics.buckets.GAPS`, those beyond the
    last one too; empty: there were none."""
    gaps_s: float = 0.0
    """All of them together."""
    finish_reason: str | None = None
    error: str | None = None
    """The code of what it was refused with, or failed by."""
    retried: bool = False
    prompt: str | None = None
    """Only where LOG_PROMPTS is on."""
    trace_id: str | None = None
    """Where there are traces."""


class HttpAnswers(msgspec.Struct, frozen=True, array_like=True):
    """How many answers of one kind were given, on any route."""

    method: str
    route: str
    status: int
    count: int


class Usage(msgspec.Struct, frozen=True, tag="usage"):
    """A gateway's count of the requests that have ended since it last said so."""

    requests: int
    failed: int
    """Of them, with a status of 500 or above."""
    seconds: float
    """That they took, together."""
    prompt_tokens: int
    completion_tokens: int
    ended: list[EndedRequest] = []
    """One by one."""
    answers: list[HttpAnswers] = []
    lines: list[bytes] = []
    """What the gateway has logged beside: JSON, one object each."""

    def counts(self) -> Usage:
        """The sums alone."""
        return msgspec.structs.replace(self, ended=[], answers=[], lines=[])

    def plus(self, other: Usage) -> Usage:
        """Both together."""
        names = self.__struct_fields__
        return Usage(*(getattr(self, name) + getattr(other, name) for name in names))


ClientMessage = (
    Hello
    | Order
    | Usage
    | Acquire
    | Withdraw
    | Release
    | Loading
    | Ready
    | LoadFailed
    | Stats
    | Parked
    | Woken
    | CanaryDone
)

# --- from the manager -------------------------------------------------------------------------


class Snapshot(msgspec.Struct, frozen=True, tag="snapshot"):
    version: int
    models: list[ModelInfo]
    ready: bool
    """A request could be served now (the preloaded model is up, nothing is shutting down)."""
    reason: str
    """Why not ready, or a short word that all is well."""
    default_model: str | None = None
    log_level: str = ""
    """That all of Tricorn's processes are to have."""


class Granted(msgspec.Struct, frozen=True, tag="granted"):
    call: int
    lease: int
    address: str
    """The replica's data socket."""
    secret: str
    model_id: str
    model: LoadedModel
    adapter: Adapter | None = None
    """To be sent along with the request to the engine."""
    rate: Rate | None = None
    """How far the key's limits are used up; None: it has none."""
    replica: str = ""
    served: str = ""
    """The id of what was asked for, maybe by an alias; of an adapter, MODEL:ADAPTER."""


class Refused(msgspec.Struct, frozen=True, tag="refused"):
    call: int
    error: ErrorInfo


class Progress(msgspec.Struct, frozen=True, tag="progress"):
    """Why a call waits, now and then while it does."""

    call: int
    text: str
    """For people, in one line."""
    share: float | None = None
    """Of the work, 0 to 1; None: unknown."""
    eta_s: float | None = None
    """Seconds that it will probably take from now."""
    data: dict[str, Any] = {}
    """Of an order that tells more: JSON values."""


class Told(msgspec.Struct, frozen=True, tag="told"):
    """The answer to an `Order`."""

    call: int
    result: dict[str, Any]


class Event(msgspec.Struct, frozen=True, tag="event"):
    """Something has happened; every gateway is told of everything."""

    number: int
    """Grows by one with each event of this manager."""
    time: float
    """Unix seconds."""
    kind: str
    """replica.state, model.listed, model.gone, download, instance.created, …"""
    model: str = ""
    data: dict[str, Any] = {}


class Stop(msgspec.Struct, frozen=True, tag="stop"):
    """To an engine worker: end now."""


class DropAdapter(msgspec.Struct, frozen=True, tag="drop_adapter"):
    """To an engine worker: this version of an adapter is no longer there."""

    adapter: Adapter


class Park(msgspec.Struct, frozen=True, tag="park"):
    """To an engine worker without requests: give the device's memory back. Answered by `Parked`."""


class Wake(msgspec.Struct, frozen=True, tag="wake"):
    """To a parked engine worker: be as before. Answered by `Woken`."""


class Canary(msgspec.Struct, frozen=True, tag="canary"):
    """To an engine worker: generate one token, to show that it can. Answered by `CanaryDone`."""


class SetLevel(msgspec.Struct, frozen=True, tag="set_level"):
    """To an engine worker: log from this level on."""

    level: str


ManagerMessage = (
    Snapshot
    | Granted
    | Refused
    | Progress
    | Told
    | Event
    | Stop
    | DropAdapter
    | Park
    | Wake
    | Canary
    | SetLevel
)

encode = msgspec.msgpack.Encoder().encode
decode_client: Callable[[bytes], ClientMessage] = decoder(ClientMessage)  # type: ignore[arg-type]
decode_manager: Callable[[bytes], ManagerMessage] = decoder(ManagerMessage)  # type: ignore[arg-type]
