"""Every message on the manager's control socket, and how it becomes a frame.

Gateways and engine workers are its clients. The first frame a client sends is `Hello`; the manager
answers a gateway's with a `Snapshot` and pushes a new one on every change. What a connection held
(leases, waiting calls) ends with the connection.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import msgspec

from tricorn.manager.protocol.calls import (
    Acquire,
    Granted,
    Order,
    Progress,
    Refused,
    Release,
    Told,
    Withdraw,
)
from tricorn.manager.protocol.news import Event, Snapshot
from tricorn.manager.protocol.usage import Usage
from tricorn.manager.protocol.worker import (
    Canary,
    CanaryDone,
    DropAdapter,
    LoadFailed,
    Loading,
    Park,
    Parked,
    Ready,
    SetLevel,
    Stats,
    Stop,
    Wake,
    Woken,
)
from tricorn.wire import decoder


class Hello(msgspec.Struct, frozen=True, tag="hello"):
    role: Literal["gateway", "worker"]
    pid: int
    secret: str = ""
    replica: str = ""
    """An engine worker: which replica it is."""


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
