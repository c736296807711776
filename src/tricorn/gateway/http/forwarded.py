"""What trusted proxies say of the client behind them, put where everything else looks for it.

Each proxy adds the address that it was called from at the end of a list, so the list is read from
there: the client is the first address that is no trusted proxy's. What stands before it, anybody
may have made up.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from flask import Flask

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Headers = Literal["x-forwarded", "forwarded"]

_HOST = re.compile(r"(?:[A-Za-z0-9._-]{1,255}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")
_PREFIX = re.compile(r"(?:/[A-Za-z0-9._~-]+){1,8}")
_PAIR = re.compile(r'\s*([A-Za-z]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s;,"]*))\s*(;|,|$)')


@dataclass(frozen=True)
class Said:
    """Of each hop, in the order of the headers; the last is by the proxy that called us."""

    clients: Sequence[str] = ()
    schemes: Sequence[str] = ()
    hosts: Sequence[str] = ()
    prefix: str = ""


def register(app: Flask, proxies: Iterable[str], headers: Headers) -> None:
    """proxies: addresses and networks that are believed; without any, nothing is looked at. To be
    called after what else wraps `wsgi_app`."""
    trusted = Trusted(proxies)
    if trusted:
        app.wsgi_app = _told(app.wsgi_app, trusted, headers)  # type: ignore[method-assign]


class Trusted:
    """The proxies that are believed."""

    def __init__(self, proxies: Iterable[str]) -> None:
        self._networks = [ipaddress.ip_network(proxy) for proxy in proxies]

    def __bool__(self) -> bool:
        return bool(self._networks)

    def __contains__(self, address: Address) -> bool:
        return any(address in network for network in self._networks)

    def client(self, peer: Address, hops: Sequence[str]) -> tuple[Address, int]:
        """Who is behind the trusted `peer`, and how many of the hops were believed. One that is no
        address ends the list."""
        believed, found = 0, peer
        for hop in reversed(hops):
            address = parse(hop)
            if address is None:
                break
            believed, found = believed + 1, address
            if address not in self:
                break
        return found, believed


def parse(text: str) -> Address | None:
    """An address, as headers have it: with a port or brackets too. None: it is none."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def x_forwarded(environ: dict[str, Any]) -> Said:
    return Said(
        _list(environ.get("HTTP_X_FORWARDED_FOR", "")),
        _list(environ.get("HTTP_X_FORWARDED_PROTO", "")),
        _list(environ.get("HTTP_X_FORWARDED_HOST", "")),
        environ.get("HTTP_X_FORWARDED_PREFIX", "").strip(),
    )


def forwarded(environ: dict[str, Any]) -> Said:
    """RFC 7239. One that is malformed says nothing."""
    hops = list(_elements(environ.get("HTTP_FORWARDED", "")))
    return Said(
        [hop.get("for", "") for hop in hops],
        [hop.get("proto", "") for hop in hops],
        [hop.get("host", "") for hop in hops],
    )


_SAID: dict[Headers, Callable[[dict[str, Any]], Said]] = {
    "x-forwarded": x_forwarded,
    "forwarded": forwarded,
}


def _told(wsgi_app: Callable[..., Any], trusted: Trusted, headers: Headers) -> Callable[..., Any]:
    said_in = _SAID[headers]

    def app(environ: dict[str, Any], start_response: Any) -> Any:
        peer = parse(environ.get("REMOTE_ADDR", ""))
        if peer is not None and peer in trusted:
            apply(environ, peer, said_in(environ), trusted)
        return wsgi_app(environ, start_response)

    return app


def apply(environ: dict[str, Any], peer: Address, said: Said, trusted: Trusted) -> None:
    """Have the request look as the client sent it. What cannot be true is not taken."""
    client, believed = trusted.client(peer, said.clients)
    environ["REMOTE_ADDR"] = str(client)
    scheme = _of(said.schemes, believed).lower()
    if scheme in ("http", "https"):
        environ["wsgi.url_scheme"] = scheme
    host = _of(said.hosts, believed)
    if _HOST.fullmatch(host):
        environ["HTTP_HOST"] = host
    if _PREFIX.fullmatch(said.prefix.rstrip("/")):
        environ["SCRIPT_NAME"] = said.prefix.rstrip("/") + environ.get("SCRIPT_NAME", "")


def _of(values: Sequence[str], believed: int) -> str:
    """What the outermost of the believed proxies says; each adds one, or one stands for all."""
    if not values:
        return ""
    return values[-min(max(believed, 1), len(values))].strip()


def _list(header: str) -> list[str]:
    return [part.strip() for part in header.split(",")] if header.strip() else []


def _elements(header: str) -> Iterator[dict[str, str]]:
    found: list[dict[str, str]] = []
    hop: dict[str, str] = {}
    at = 0
    while at < len(header):
        pair = _PAIR.match(header, at)
        if pair is None:
            return
        name, quoted, plain, ends = pair.groups()
        hop[name.lower()] = re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else plain
        if ends != ";":
            found.append(hop)
            hop = {}
        at = pair.end()
    yield from found
