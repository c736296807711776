"""What a gateway asks of the manager, and how it is answered.

A call carries a number that the gateway chose and that comes back with every answer:

    Acquire ──► Progress* ──► Granted | Refused        Release gives the lease back
    Order   ──► Progress* ──► Told | Refused           Withdraw ends the waiting for either
"""

from __future__ import annotations

from typing import Any

import msgspec

from tricorn.access.rate import Rate
from tricorn.access.terms import Allowance
from tricorn.engines.spec import Adapter, LoadedModel
from tricorn.errors import ErrorInfo


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


class Order(msgspec.Struct, frozen=True, tag="order"):
    """Something other than a lease is wanted; answered by `Told` or `Refused`, with `call`, and
    maybe by `Progress` before. `Withdraw` ends the waiting, and what only it waited for."""

    call: int
    command: str
    """As `manager.desk.orders` knows them."""
    arguments: dict[str, Any] = {}


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


class Told(msgspec.Struct, frozen=True, tag="told"):
    """The answer to an `Order`."""

    call: int
    result: dict[str, Any]


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
