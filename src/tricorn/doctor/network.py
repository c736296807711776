"""The port, and what a proxy or a short time-out would break."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import sys
from collections.abc import Iterator, Mapping

from tricorn.doctor.check import Check
from tricorn.hardware.facts import Facts
from tricorn.place import Place

LOCAL = ("localhost", "127.0.0.1")
LEAST_LOAD_TIMEOUT_S = 60.0
"""vLLM alone takes half a minute on a CPU before it has read the model."""
PROXY_IDLE_S = 60.0
"""After so much silence nginx and most load balancers cut a connection."""


def port(place: Place, facts: Facts) -> Iterator[Check]:
    """Whether the port can be listened on, or whether Tricorn already does."""
    where = f"{place.host}:{place.port}"
    fault = _listen_fault(place.host, place.port)
    if fault is None:
        yield Check("port", "ok", f"{where} is free")
        return
    running = running_manager(place)
    if running is not None:
        yield Check("port", "ok", f"Tricorn serves on {where} (process {running})")
        return
    if fault.errno == errno.EADDRINUSE:
        fix = f"{place.start} --port {place.port + 1}; who has it: {_who_listens(place.port)}"
        yield Check("port", "fail", f"{where} is in use by another program", fix)
    elif fault.errno in (errno.EACCES, errno.EPERM):
        fix = f"take a port above 1023: {place.start} --port 8000"
        yield Check("port", "fail", f"{where} may not be used by this user", fix)
    else:
        fix = "set HOST to an address of this machine, 127.0.0.1 or 0.0.0.0"
        yield Check("port", "fail", f"{where} cannot be listened on: {fault}", fix)


def _listen_fault(host: str, number: int) -> OSError | None:
    try:
        (family, kind, _, _, address), *_ = socket.getaddrinfo(
            host or None, number, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        with socket.socket(family, kind) as probe:
            if os.name == "posix":  # connections that have just ended are no obstacle
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen(1)
    except OSError as error:
        return error
    return None


def _who_listens(number: int) -> str:
    if sys.platform == "linux":
        return f"ss -ltnp 'sport = :{number}'"
    return f"lsof -nP -iTCP:{number} -sTCP:LISTEN"


def running_manager(place: Place) -> int | None:
    """The process id of the Tricorn that runs with these settings; None where none does."""
    if place.settings is None:
        return None
    from tricorn.manager import run_directory

    with contextlib.suppress(OSError, ValueError, TypeError):
        pid = int(str(run_directory.read_control(place.settings.runtime_dir())["pid"]))
        if os.name == "posix":
            os.kill(pid, 0)
        return pid
    return None


def proxy(place: Place, facts: Facts) -> Iterator[Check]:
    """A proxy in the environment must not be asked for this machine's own addresses."""
    yield proxy_check(os.environ)


def proxy_check(environ: Mapping[str, str]) -> Check:
    """The finding for these environment variables."""
    names = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
    proxies = [n for name in names for n in (name, name.lower()) if environ.get(n)]
    if not proxies:
        return Check("proxy", "ok", "none is set")
    excepted = ",".join(environ.get(name, "") for name in ("NO_PROXY", "no_proxy"))
    hosts = {part.strip() for part in excepted.split(",")}
    missing = [host for host in LOCAL if host not in hosts]
    if "*" in hosts or not missing:
        return Check("proxy", "ok", f"{', '.join(proxies)}, and not for this machine itself")
    what = (
        f"{' and '.join(proxies)} set, without an exception for {' and '.join(missing)}: "
        "clients here would look for Tricorn at the proxy"
    )
    value = ",".join([*(part for part in environ.get("NO_PROXY", "").split(",") if part), *missing])
    return Check("proxy", "warn", what, f"export NO_PROXY={value} no_proxy={value}")


def certificate(place: Place, facts: Facts) -> Iterator[Check]:
    """Whether TLS_CERT and TLS_KEY can be used, where they are set."""
    settings = place.settings
    if settings is None or settings.tls_cert is None:
        return
    # Only here: nothing is installed yet where there are no settings.
    from tricorn import tls
    from tricorn.errors import StartupError

    try:
        tls.check(settings)
    except StartupError as error:
        yield Check(
            "certificate", "fail", error.message, "set TLS_CERT and TLS_KEY to files in PEM"
        )
    else:
        yield Check("certificate", "ok", f"{settings.tls_cert} and its key fit together")


def timeouts(place: Place, facts: Facts) -> Iterator[Check]:
    """Settings under which requests would be given up before they can be answered."""
    settings = place.settings
    if settings is None:
        return
    well = True
    if settings.load_timeout_s < LEAST_LOAD_TIMEOUT_S:
        well = False
        what = f"LOAD_TIMEOUT_S is {settings.load_timeout_s:g}: many models take longer to load"
        yield Check("time-outs", "warn", what, "LOAD_TIMEOUT_S=600")
    if settings.max_wait_s < settings.load_timeout_s:
        well = False
        what = (
            f"MAX_WAIT_S ({settings.max_wait_s:g}) is less than LOAD_TIMEOUT_S "
            f"({settings.load_timeout_s:g}): requests give up while their model still loads"
        )
        yield Check("time-outs", "warn", what, f"MAX_WAIT_S={settings.load_timeout_s:g}")
    if settings.sse_keepalive_s >= PROXY_IDLE_S:
        well = False
        what = (
            f"SSE_KEEPALIVE_S is {settings.sse_keepalive_s:g}: proxies cut a stream that is silent "
            f"for {PROXY_IDLE_S:g} seconds"
        )
        yield Check("time-outs", "warn", what, "SSE_KEEPALIVE_S=15")
    if well:
        yield Check("time-outs", "ok", "loads, waits and keep-alives fit together")
