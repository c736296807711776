"""Which addresses nobody outside of this machine reaches."""

from __future__ import annotations

import ipaddress


def is_loopback(name: str) -> bool:
    """An address, or a name that always means one."""
    if name.lower() == "localhost" or name.lower().endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
