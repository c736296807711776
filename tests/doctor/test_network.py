"""The port, proxies and time-outs."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.gateway.certificates import make, needs_openssl

from tricorn.doctor import network
from tricorn.doctor.check import Check
from tricorn.hardware.facts import Facts
from tricorn.place import Place


def port(place: Place) -> Check:
    (check,) = network.port(place, Facts())
    return check


@pytest.fixture
def busy() -> Iterator[int]:
    """A port that another program listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_free_port_is_well_and_stays_free(place: Place, busy: int) -> None:
    """Looking does not take it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        free = server.getsockname()[1]
    assert port(replace(place, port=free)).state == "ok"
    assert port(replace(place, port=free)).state == "ok"


def test_a_busy_port_fails(place: Place, busy: int) -> None:
    """With another port to take, and the way to find the program."""
    check = port(replace(place, port=busy))
    assert check.state == "fail"
    assert f"--port {busy + 1}" in check.fix
    assert str(busy) in check.fix.partition(";")[2]


def test_tricorn_itself_may_have_the_port(place: Place, busy: int) -> None:
    """A running server is no fault of its own."""
    assert place.settings is not None
    run_dir = place.settings.runtime_dir()
    run_dir.mkdir()
    (run_dir / "control.json").write_text(json.dumps({"pid": os.getpid()}))
    check = port(replace(place, port=busy))
    assert check.state == "ok"
    assert f"process {os.getpid()}" in check.what


def test_an_address_of_another_machine_fails(place: Place) -> None:
    """It cannot be listened on here."""
    assert "127.0.0.1" in port(replace(place, host="203.0.113.1")).fix


@pytest.mark.parametrize(
    ("environ", "state"),
    [
        ({}, "ok"),
        ({"HTTP_PROXY": "http://p"}, "warn"),
        ({"https_proxy": "http://p", "NO_PROXY": "localhost"}, "warn"),
        ({"https_proxy": "http://p", "no_proxy": "localhost,127.0.0.1"}, "ok"),
        ({"ALL_PROXY": "socks://p", "NO_PROXY": "*"}, "ok"),
    ],
)
def test_proxies_need_an_exception_for_this_machine(environ: dict[str, str], state: str) -> None:
    """In capitals or not."""
    assert network.proxy_check(environ).state == state


def test_the_fix_keeps_what_is_excepted() -> None:
    """It is a whole new value."""
    check = network.proxy_check({"HTTP_PROXY": "http://p", "NO_PROXY": "intra.net"})
    value = "intra.net,localhost,127.0.0.1"
    assert check.fix == f"export NO_PROXY={value} no_proxy={value}"


@pytest.mark.parametrize(
    ("changed", "fix"),
    [
        ({}, ""),
        ({"load_timeout_s": 10.0}, "LOAD_TIMEOUT_S=600"),
        ({"max_wait_s": 60.0}, "MAX_WAIT_S=600"),
        ({"sse_keepalive_s": 90.0}, "SSE_KEEPALIVE_S=15"),
    ],
)
def test_timeouts_that_give_up_too_early(place: Place, changed: dict[str, float], fix: str) -> None:
    """Each is named with a value that fits."""
    assert place.settings is not None
    settings = place.settings.model_copy(update=changed)
    (check,) = network.timeouts(replace(place, settings=settings), Facts())
    assert check.fix == fix
    assert (check.state == "ok") == (fix == "")
    assert list(network.timeouts(replace(place, settings=None), Facts())) == []


@needs_openssl
def test_a_certificate_is_tried(place: Place, tmp_path: Path) -> None:
    """With its key; where there is none, nothing is said."""
    assert list(network.certificate(place, Facts())) == []
    assert place.settings is not None
    certificate, key = make(tmp_path, "llm")
    given = place.settings.model_copy(update={"tls_cert": certificate, "tls_key": key})
    (check,) = network.certificate(replace(place, settings=given), Facts())
    assert check.state == "ok"
    wrong = given.model_copy(update={"tls_key": tmp_path / "nowhere"})
    (check,) = network.certificate(replace(place, settings=wrong), Facts())
    assert check.state == "fail"
    assert check.what.startswith("TLS_KEY: ")
