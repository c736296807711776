"""Images from the web, for callers who may name any address: only public ones are spoken to.

A name is resolved once, every address it has must be public, and the connection goes to an address
that was checked, so that a name cannot change its mind in between. Redirects go the same way.
Written against `threading` and `socket`, which gevent makes cooperative.
"""

from __future__ import annotations

import contextlib
import http.client
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Sequence
from urllib.parse import SplitResult, quote, urljoin, urlsplit

MAX_REDIRECTS = 3
_CHUNK = 64 * 1024
_REDIRECTS = {301, 302, 303, 307, 308}
_HEADERS = {"Accept": "image/*", "Accept-Encoding": "identity", "User-Agent": "Tricorn"}
_GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_KEPT = "%/:=&?~+!$,;'@()*[]"
"""What stands in an address for itself; everything else that is not plain is percent-encoded."""


class FetchError(Exception):
    """Why an image could not be had, in words for the caller."""


def is_public(address: str) -> bool:
    """Whether anybody on the internet can speak to it: not private, loopback, link-local or
    multicast, and no IPv6 form of such an IPv4 address."""
    ip = ipaddress.ip_address(address)
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour
        if ip in _NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
        if ip not in _GLOBAL_UNICAST:
            return False
    return ip.is_global and not (ip.is_multicast or ip.is_reserved)


class Fetch:
    """One image. limit: bytes that it may have."""

    def __init__(self, url: str, limit: int) -> None:
        self._url = url
        self._limit = limit
        self._data: bytes | None = None
        self._error: FetchError | None = None
        self._socket: socket.socket | None = None
        self._give_up_at = 0.0
        self._thread = threading.Thread(target=self._run, name="fetch", daemon=True)

    def start(self, timeout_s: float) -> None:
        self._give_up_at = time.monotonic() + timeout_s
        self._thread.start()

    def wait(self) -> None:
        """Until it is there, has failed, or its time is over."""
        self._thread.join(max(0.0, self._give_up_at - time.monotonic()))
        if self._thread.is_alive():
            self._error = FetchError("it took too long")
            with contextlib.suppress(OSError, AttributeError):
                self._socket.shutdown(socket.SHUT_RDWR)  # type: ignore[union-attr] # maybe not yet

    def result(self) -> bytes:
        """After `wait`. FetchError where there is none."""
        if self._error is not None:
            raise self._error
        assert self._data is not None
        return self._data

    def _run(self) -> None:
        try:
            data = self._follow()
        except FetchError as error:
            self._fail(error)
        except TimeoutError:
            self._fail(FetchError("it took too long"))
        except (OSError, ValueError, AttributeError, http.client.HTTPException) as error:
            # An ssl socket that is shut down from outside may lack its parts: AttributeError.
            self._fail(FetchError(f"{type(error).__name__}: {error}"))
        else:
            self._data = data
        finally:
            if self._socket is not None:
                self._socket.close()

    def _fail(self, error: FetchError) -> None:
        # What the end of its time says stays: later errors are its consequence.
        self._error = self._error or error

    def _follow(self) -> bytes:
        url = self._url
        for _ in range(MAX_REDIRECTS + 1):
            found = self._get(url)
            if isinstance(found, bytes):
                return found
            url = urljoin(url, found)
        raise FetchError(f"it is redirected more than {MAX_REDIRECTS} times")

    def _get(self, url: str) -> bytes | str:
        """The body, or where it has gone."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise FetchError("it is not at an http(s) address")
        if parts.username is not None or parts.password is not None:
            raise FetchError("addresses with a user name are not fetched")
        with contextlib.closing(self._connection(parts)) as connection:
            target = quote(parts.path or "/", _KEPT)
            if parts.query:
                target += "?" + quote(parts.query, _KEPT)
            connection.request("GET", target, headers=_HEADERS)
            answer = connection.getresponse()
            moved = answer.getheader("Location")
            if answer.status in _REDIRECTS and moved:
                return moved
            if answer.status != 200:
                raise FetchError(f"the server there answered {answer.status}")
            return self._read(answer)

    def _connection(self, parts: SplitResult) -> http.client.HTTPConnection:
        host = parts.hostname or ""
        secure = parts.scheme == "https"
        port = parts.port or (443 if secure else 80)
        connected = self._connect(host, port)
        self._socket = connected
        if not secure:
            plain = http.client.HTTPConnection(host, port)
            plain.sock = connected
            return plain
        context = ssl.create_default_context()
        # The handshake comes after, so that it can be interrupted too.
        wrapped = context.wrap_socket(
            connected, server_hostname=host, do_handshake_on_connect=False
        )
        self._socket = wrapped
        wrapped.do_handshake()
        connection = http.client.HTTPSConnection(host, port, context=context)
        connection.sock = wrapped
        return connection

    def _connect(self, host: str, port: int) -> socket.socket:
        """To the first address that answers, all of them having been checked."""
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        for *_, where in found:
            if not is_public(str(where[0])):
                raise FetchError(f"{host} is not a public address")
        failure: OSError = OSError(f"{host} has no address")
        for family, kind, protocol, _, where in found:
            left = self._give_up_at - time.monotonic()
            if left <= 0:
                raise FetchError("it took too long")
            connected = socket.socket(family, kind, protocol)
            connected.settimeout(left)
            try:
                connected.connect(where)
            except OSError as error:
                connected.close()
                failure = error
            else:
                return connected
        raise failure

    def _read(self, answer: http.client.HTTPResponse) -> bytes:
        data = bytearray()
        while chunk := answer.read(_CHUNK):
            data += chunk
            if time.monotonic() > self._give_up_at:
                raise FetchError("it took too long")
            if len(data) > self._limit:
                raise FetchError(f"it is larger than {self._limit} bytes (MAX_IMAGE_BYTES)")
        return bytes(data)


def fetch_all(fetches: Sequence[Fetch], timeout_s: float) -> None:
    """All at the same time; each has its `result` or its error after that."""
    for fetch in fetches:
        fetch.start(timeout_s)
    for fetch in fetches:
        fetch.wait()
