"""The port that Tricorn serves at: taken once, for all the gateways that follow one another."""

from __future__ import annotations

import errno
import os
import socket

from tricorn.errors import StartupError


def bind(host: str, port: int) -> socket.socket:
    """Bound, and not listening yet: whoever serves it first begins that. StartupError says what is
    wrong with the address."""
    try:
        found = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE | socket.AI_ADDRCONFIG
        )
    except OSError as error:
        raise StartupError(f"HOST {host!r} is no address of this machine: {error}") from error
    # A name such as localhost has several; clients try IPv4 sooner or later, all of them.
    family, kind, protocol, _, address = min(found, key=lambda one: one[0] != socket.AF_INET)
    taken = socket.socket(family, kind, protocol)
    try:
        if os.name == "posix":  # elsewhere this option lets two servers share a port
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(address)
    except OSError as error:
        taken.close()
        raise _unusable(host, port, error) from error
    return taken


def check_port(host: str, port: int) -> None:
    """Bind the address and let go of it. StartupError as `bind`."""
    bind(host, port).close()


def _unusable(host: str, port: int, error: OSError) -> StartupError:
    if isinstance(error, PermissionError):
        return StartupError(
            f"the port {port} needs more rights than this user has; choose one above 1023"
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return StartupError(f"HOST {host!r} is no address of this machine")
    return StartupError(
        f"cannot listen on {host}:{port}: {error.strerror or error}; is another server"
        " running there? Choose another port with --port"
    )
