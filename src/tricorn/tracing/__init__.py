"""Traces (OpenTelemetry), where a standard variable asks for them: an optional extra.

    gateway    CHAT MODEL ────────────────────────────────  one server span a request
    manager      └ acquire MODEL ─────┐                     until it has a replica
                     └ load MODEL ──┐                       where it caused one
    gateway      └ engine MODEL       └───────────────────  by the times that the engine told

`wanted` looks at the environment with the standard library alone. Only where it says yes is
`export`, and with it any package of OpenTelemetry's, imported; engine workers never need one.
"""
