"""Calls for leases, and the leases that they become."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from tricorn.manager.protocol.calls import Granted, Progress, Refused
from tricorn.manager.replicas.replica import Replica

if TYPE_CHECKING:
    from tricorn.manager.pool.served_model import ServedModel


class Holder(Protocol):
    """A gateway's connection: asks for leases, gets answers, and ends with all it held."""

    def answer(self, message: Granted | Refused | Progress) -> None:
        """Called with the answer at most once for each call; must not block or raise."""


@dataclass(eq=False)
class Call:
    """A request that waits for a lease. Times are on the event loop's clock, in seconds."""

    holder: Holder
    number: int
    model: str
    request_id: str
    since: float
    key: str = ""
    """Whose it is: those of different keys are served in turn."""
    prefix: tuple[int, ...] = ()
    """As `Acquire.prefix`."""
    keep_alive_s: float | None = None
    """As `Acquire.keep_alive_s`."""
    weight: float = 1.0
    """Of its key's turns."""
    over: bool = False
    """Answered or withdrawn."""
    served: ServedModel | None = None
    """The model that serves it, once it is known."""
    adapter: str | None = None
    """The name of the adapter, where `model` is `base:adapter`."""


@dataclass(eq=False)
class Lease:
    """A right to use `replica` for one request."""

    number: int
    call: Call
    served: ServedModel
    replica: Replica
