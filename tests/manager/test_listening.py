"""Tests of `tricorn.manager.lifecycle.listening`."""

from __future__ import annotations

import socket

import pytest

from tricorn.errors import StartupError
from tricorn.manager.lifecycle.listening import bind, check_port


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def test_free_port_passes() -> None:
    """A port that is free is let go again, so that the check can be made twice."""
    port = free_port()
    check_port("127.0.0.1", port)
    check_port("127.0.0.1", port)


def test_taken_port_is_a_clear_error() -> None:
    """A port on which somebody listens is refused, with the way out."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(StartupError, match=f"cannot listen on 127.0.0.1:{port}.*--port"):
            check_port("127.0.0.1", port)


def test_address_of_another_machine_is_a_clear_error() -> None:
    """A host that is not this machine's cannot be listened on."""
    with pytest.raises(StartupError, match=r"192\.0\.2\.1.* is no address of this"):
        check_port("192.0.2.1", 8000)


def test_nobody_is_served_before_a_gateway_listens() -> None:
    """Bound only: who connects is refused rather than kept waiting."""
    port = free_port()
    with bind("localhost", port) as taken:
        assert taken.getsockname()[:2] == ("127.0.0.1", port)  # IPv4, where a name has both
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port))
