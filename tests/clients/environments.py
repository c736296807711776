"""The environments that clients run in: packages conflict with those of `.venv` and one another."""

from __future__ import annotations

from pathlib import Path

from tricorn.installing import environments
from tricorn.installing.environment_state import Environment

PROJECT = Path(__file__).parents[2]
OWN = {"llamaindex": "llamaindex"}
"""Clients that cannot be in the environment that the others share."""


def environment(client: str) -> Environment:
    """Where the client of the folder `client` is installed."""
    name = OWN.get(client, "main")
    return Environment(
        path=PROJECT / ".clients" / name,
        requirements=[PROJECT / "requirements" / f"clients-{name}.txt"],
        name=f"clients-{name}",
        is_whole_list=True,
        disk_bytes=600_000_000,
        log_dir=PROJECT / "logs",
    )


def python(client: str) -> Path:
    """The Python that has the client, which is installed if need be. InstallError where it cannot
    be."""
    return environments.ensure(environment(client), print)
