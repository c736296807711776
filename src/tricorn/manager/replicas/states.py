"""The life of a replica: its states, and the ways between them.

               start()               Ready, Woken               drain()
    UNLOADED ───────────► LOADING ─────────────────► READY ─────────────► DRAINING
        ▲                  │ │  ▲                      │                   │ │ │
        │ stop(): nobody   │ │  │ wake()               │ exit, lost        │ │ │
        │ waits any more   │ │  │                      │ connection, fault │ │ │
        ├──────────────────┘ │  │   its leases are back: park(), Parked    │ │ │
        │                    │ PARKED ◄────────────────┼───────────────────┘ │ │
        │ stop(), or exit    │  │                      │                     │ │
        ├────────────────────┼──┘                      │                     │ │
        │ its leases are back: stop(); or it could not │ be parked           │ │
        ├────────────────────┼─────────────────────────┼─────────────────────┘ │
        │                    │ error, exit, deadline   ▼          exit, fault  │
                             └─────────────────► FAILED(reason) ◄──────────────┘

LOADING ends with a token that was generated. A fault is found by looking (`guard`): the engine
hangs, or fails when it is tried while it is idle.

At shutdown `stop()` takes a READY one to UNLOADED as well. The arrow FAILED → LOADING of the design
is the pool's: after its back-off it puts a new replica in the place of the failed one.
"""

from __future__ import annotations

from tricorn.manager.protocol.model_info import ReplicaState

ARROWS: dict[ReplicaState, tuple[ReplicaState, ...]] = {
    "UNLOADED": ("LOADING",),
    "LOADING": ("READY", "FAILED", "UNLOADED"),
    "READY": ("DRAINING", "FAILED", "UNLOADED"),
    "DRAINING": ("PARKED", "UNLOADED", "FAILED"),
    "PARKED": ("LOADING", "UNLOADED"),
    "FAILED": (),
}
