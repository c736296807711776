"""How many connections a gateway process may hold: as many as the system lets it open files for.

Beyond its limit of open files a process can do nothing well: it takes no connection, and reads no
key and no picture for those that it has. So the limit is raised as far as is needed and allowed,
and connections stay below it: the ones beyond wait until others end.
"""

from __future__ import annotations

import structlog

OTHERS = 128
"""Files beside clients' connections: sockets of the manager and of engines, stores, pictures on
their way, what Python itself holds."""

log = structlog.get_logger(part="gateway")


def connections(wanted: int) -> int:
    """Raise this process's limit of open files for so many connections; how many there is room for,
    at least one. Those that it forks inherit the limit."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return wanted
    needed = wanted + OTHERS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return wanted
    allowed = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    if allowed > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    if allowed < needed:
        wanted = max(1, allowed - OTHERS)
        log.warning("this system allows few open files", files=allowed, connections=wanted)
    return wanted
