"""The life of a replica: its states, and the ways between them.

               start()               Ready, Woken               drain()
    UNLOADED ───────────► LOADING ─────────────────► READY ─────────────► DRAINING
        ▲                  │ │  ▲                      │                   │ │ │
        │ stop(): nobody   │ │  │ wake()               │ exit, lost        │ │ │
        │ waits any more   │ │  │                      │ connection        │ │ │
        ├──────────────────┘ │  │   its leases are back: park(), Parked    │ │ │
        │                    │ PARKED ◄────────────────┼───────────────────┘ │ │
        │ stop(), or exit    │  │                      │                     │ │
        ├────────────────────┼──┘                      │                     │ │
        │ its leases are back: stop(); or it could not │ be parked           │ │
        ├────────────────────┼─────────────────────────┼─────────────────────┘ │
        │                    │ error, exit, deadline   ▼                 exit  │
                             └─────────────────► FAILED(reason) ◄──────────────┘

At shutdown `stop()` takes a READY one to UNLOADED as well. The arrow FAILED → LOADING of the design
is the pool's: after its back-off it puts a new replica in the place of the failed one.
"""

from __future__ import annotations

from tricorn.manager.protocol import ReplicaState

ARROWS: dict[ReplicaState, tuple[ReplicaState, ...]] = {
    "UNLOADED": ("LOADING",),
    "LOADING": ("READY", "FAILED", "UNLOADED"),
    "READY": ("DRAINING", "FAILED", "UNLOADED"),
    "DRAINING": ("PARKED", "UNLOADED", "FAILED"),
    "PARKED": ("LOADING", "UNLOADED"),
    "FAILED": (),
}
