"""Tests of `tricorn.gateway.http.forwarded`."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask, request
from pydantic import ValidationError

from tricorn.gateway.http import forwarded
from tricorn.gateway.http.forwarded import Said, Trusted, parse
from tricorn.settings.config import Settings

PEER = ipaddress.ip_address("10.0.0.1")


def app_of(*proxies: str, headers: forwarded.Headers = "x-forwarded") -> Flask:
    """It tells what requests look like to it."""
    app = Flask("seen")

    @app.get("/seen")
    def seen() -> list[str | None]:
        return [request.remote_addr, request.scheme, request.host, request.script_root]

    forwarded.register(app, proxies, headers)
    return app


def seen(app: Flask, peer: str, **headers: str) -> list[str | None]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    answer = app.test_client().get("/seen", headers=named, environ_base={"REMOTE_ADDR": peer})
    found: list[str | None] = answer.get_json()
    return found


UNTOLD = ["http", "localhost", ""]
SPOOFED = {
    "X_Forwarded_For": "1.2.3.4",
    "X_Forwarded_Proto": "https",
    "X_Forwarded_Host": "evil.example",
    "X_Forwarded_Prefix": "/evil",
    "Forwarded": "for=1.2.3.4;proto=https;host=evil.example",
}


def test_nobody_is_believed_by_default() -> None:
    assert seen(app_of(), "127.0.0.1", **SPOOFED) == ["127.0.0.1", *UNTOLD]


def test_others_are_not_believed() -> None:
    assert seen(app_of("10.0.0.0/8"), "11.0.0.1", **SPOOFED) == ["11.0.0.1", *UNTOLD]


def test_a_trusted_proxy_is() -> None:
    app = app_of("10.0.0.0/8")
    told = seen(
        app,
        "10.0.0.1",
        X_Forwarded_For="1.2.3.4",
        X_Forwarded_Proto="https",
        X_Forwarded_Host="llm.example.com",
        X_Forwarded_Prefix="/llm/",
    )
    assert told == ["1.2.3.4", "https", "llm.example.com", "/llm"]


def test_only_in_the_headers_that_it_writes() -> None:
    """Those of the other kind pass through it as the client made them up."""
    told = seen(app_of("10.0.0.1"), "10.0.0.1", Forwarded=SPOOFED["Forwarded"])
    assert told == ["10.0.0.1", *UNTOLD]
    spoofed = SPOOFED | {"Forwarded": "for=5.6.7.8"}
    told = seen(app_of("10.0.0.1", headers="forwarded"), "10.0.0.1", **spoofed)
    assert told == ["5.6.7.8", *UNTOLD]


def test_by_forwarded() -> None:
    app = app_of("10.0.0.1", headers="forwarded")
    header = 'for=6.6.6.6, for="[2001:db8::1]:4711";proto=https;host="llm.example.com:444"'
    told = seen(app, "10.0.0.1", Forwarded=header)
    assert told == ["2001:db8::1", "https", "llm.example.com:444", ""]


@pytest.mark.parametrize(
    "header", ["", "for", "for=", 'for="1.2.3.4', "for=1.2.3.4 proto=https", "for=unknown", ";;,,"]
)
def test_a_malformed_one_says_nothing(header: str) -> None:
    app = app_of("10.0.0.1", headers="forwarded")
    assert seen(app, "10.0.0.1", Forwarded=header) == ["10.0.0.1", *UNTOLD]


@pytest.mark.parametrize(
    ("hops", "client", "believed"),
    [
        ([], "10.0.0.1", 0),
        (["1.2.3.4"], "1.2.3.4", 1),
        (["6.6.6.6", "1.2.3.4"], "1.2.3.4", 1),
        (["6.6.6.6", "1.2.3.4", "10.0.0.2"], "1.2.3.4", 2),
        (["10.0.0.3", "10.0.0.2"], "10.0.0.3", 2),
        (["1.2.3.4", "unknown"], "10.0.0.1", 0),
        (["1.2.3.4", "_hidden", "10.0.0.2"], "10.0.0.2", 1),
        (["::ffff:1.2.3.4"], "1.2.3.4", 1),
    ],
)
def test_the_client_is_the_nearest_that_is_no_proxy(
    hops: list[str], client: str, believed: int
) -> None:
    """Not the first of the list, which the client itself may have begun."""
    found = Trusted(["10.0.0.0/8"]).client(PEER, hops)
    assert found == (ipaddress.ip_address(client), believed)


def test_of_several_proxies_the_outermost_knows_the_scheme() -> None:
    trusted = Trusted(["10.0.0.0/8"])
    environ: dict[str, Any] = {}
    said = Said(["6.6.6.6", "1.2.3.4", "10.0.0.2"], ["ftp", "https", "http"], ["a", "b", "c"])
    forwarded.apply(environ, PEER, said, trusted)
    assert environ["wsgi.url_scheme"] == "https"
    assert environ["HTTP_HOST"] == "b"


@pytest.mark.parametrize(
    "bad",
    [
        {"X_Forwarded_Proto": "javascript"},
        {"X_Forwarded_Host": "a b"},
        {"X_Forwarded_Host": "evil.example/path"},
        {"X_Forwarded_Prefix": "//evil.example"},
        {"X_Forwarded_Prefix": "/a?b"},
        {"X_Forwarded_Prefix": "relative"},
    ],
)
def test_what_cannot_be_is_not_taken(bad: dict[str, str]) -> None:
    assert seen(app_of("10.0.0.1"), "10.0.0.1", **bad) == ["10.0.0.1", *UNTOLD]


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("1.2.3.4", "1.2.3.4"),
        (" 1.2.3.4:80 ", "1.2.3.4"),
        ("::1", "::1"),
        ("[::1]:80", "::1"),
        ("unknown", None),
        ("", None),
        ("1.2.3.4.5", None),
    ],
)
def test_addresses(text: str, address: str | None) -> None:
    assert parse(text) == (address and ipaddress.ip_address(address))


def test_the_setting_takes_addresses_and_networks() -> None:
    settings = Settings(trusted_proxies="127.0.0.1, ::1,10.1.2.3/8")  # type: ignore[arg-type]
    assert settings.trusted_proxies == ["127.0.0.1/32", "::1/128", "10.0.0.0/8"]
    with pytest.raises(ValidationError, match="no address"):
        Settings(trusted_proxies="proxy.example")  # type: ignore[arg-type]


def test_who_guesses_keys_is_slowed_down_by_his_own_address(
    make_app: Callable[..., Flask],
) -> None:
    """Behind a trusted proxy, whatever he writes in front of it; others there go on."""
    app = make_app(auth="required", trusted_proxies=["127.0.0.1"])
    client = app.test_client()

    def status(hops: str) -> int:
        wrong = {"Authorization": "Bearer guessed-key", "X-Forwarded-For": hops}
        return client.get("/v1/models", headers=wrong).status_code

    assert {status(f"9.9.9.{n}, 1.2.3.4") for n in range(20)} == {401}
    assert status("8.8.8.8, 1.2.3.4") == 429
    assert status("1.2.3.5") == 401
