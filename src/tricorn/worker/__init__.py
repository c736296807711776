"""The engine worker: one process, one engine, one model. `client` is the gateway's side of it."""
