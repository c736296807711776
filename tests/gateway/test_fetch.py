"""Images from the web: public addresses only, whatever names and redirects say."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from tests.images import png

from tricorn.errors import InvalidRequest
from tricorn.gateway.requests import fetch, images
from tricorn.gateway.requests.fetch import Fetch, FetchError, fetch_all, is_public
from tricorn.settings.config import Settings

LIMIT = 10_000


class Site:
    """A web server on loopback. pages: path → (status, headers, body)."""

    def __init__(self) -> None:
        self.pages: dict[str, tuple[int, dict[str, str], bytes]] = {"/a.png": (200, {}, png())}
        self.asked: list[tuple[str, str | None]] = []
        self.release = threading.Event()
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.asked.append((self.path, self.headers["Host"]))
                if self.path == "/slow":
                    self.wfile.write(b"HTTP/1.1 200 OK\r\n")
                    site.release.wait(20)
                    return
                status, headers, body = site.pages[self.path]
                self.send_response(status)
                for key, value in headers.items():
                    self.send_header(key, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def url(self, path: str = "/a.png", host: str = "images.example") -> str:
        return f"http://{host}:{self.port}{path}"

    def close(self) -> None:
        self.release.set()
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def site() -> Iterator[Site]:
    made = Site()
    yield made
    made.close()


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """What names resolve to; loopback passes as public for names that end in `.example`."""
    table = {"images.example": ["127.0.0.1"]}
    public: set[str] = set()

    def resolve(host: str, port: int, **_: Any) -> list[Any]:
        if host.endswith(".example"):
            public.update(a for a in table[host] if a == "127.0.0.1")
        else:
            public.clear()
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 0, "", (address, port))
            for address in table.get(host, [host])
        ]

    monkeypatch.setattr(fetch.socket, "getaddrinfo", resolve)
    monkeypatch.setattr(fetch, "is_public", lambda a: a in public or is_public(a))
    return table


def get(url: str, *, limit: int = LIMIT, timeout_s: float = 20) -> bytes:
    one = Fetch(url, limit)
    fetch_all([one], timeout_s)
    return one.result()


@pytest.mark.parametrize("address", ["1.1.1.1", "93.184.216.34", "2606:4700::1111"])
def test_public_addresses(address: str) -> None:
    """Those that anybody can reach."""
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.8.8.8", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1",
        "169.254.169.254", "100.64.0.1", "192.0.2.1", "198.18.0.1", "224.0.1.1", "240.0.0.1",
        "255.255.255.255", "::", "::1", "::7f00:1", "fe80::1", "fe80::1%eth0", "fc00::1",
        "fd12::1", "fec0::1", "ff02::1", "2001:db8::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1",
        "2002:7f00:1::", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1",
    ],
)  # fmt: skip
def test_addresses_that_are_not_public(address: str) -> None:
    """Private, loopback, link-local, multicast, reserved, and IPv6 forms of such."""
    assert not is_public(address)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "[::1]", "[::ffff:127.0.0.1]"]
)
def test_this_machine_is_not_spoken_to(site: Site, host: str) -> None:
    """However its address is written."""
    with pytest.raises(FetchError):
        get(site.url(host=host))
    assert site.asked == []


def test_an_image_is_fetched(site: Site, names: dict[str, list[str]]) -> None:
    """From a public address, with the name that was asked for."""
    assert get(site.url()) == png()
    assert site.asked == [("/a.png", f"images.example:{site.port}")]


def test_one_private_address_is_enough(site: Site, names: dict[str, list[str]]) -> None:
    """A name that has a public and a private address is refused."""
    names["images.example"] = ["127.0.0.1", "10.0.0.1"]
    with pytest.raises(FetchError, match="not a public address"):
        get(site.url())
    assert site.asked == []


def test_a_name_is_resolved_once(
    site: Site, names: dict[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection goes to the address that was checked: no second answer can change it."""
    real = fetch.socket.getaddrinfo
    asked: list[str] = []

    def once(host: str, port: int, **more: Any) -> Any:
        asked.append(host)
        return real(host, port, **more)

    monkeypatch.setattr(fetch.socket, "getaddrinfo", once)
    assert get(site.url()) == png()
    assert asked == ["images.example"]


def test_redirects_are_followed_and_checked(site: Site, names: dict[str, list[str]]) -> None:
    """Each hop as if it had been asked for; relative ones too."""
    site.pages["/moved"] = (302, {"Location": "/a.png"}, b"")
    assert get(site.url("/moved")) == png()
    for target in ("http://10.0.0.1/", site.url(host="127.0.0.1"), "file:///etc/passwd"):
        site.pages["/inside"] = (307, {"Location": target}, b"")
        before = len(site.asked)
        with pytest.raises(FetchError, match=r"public address|not at an http"):
            get(site.url("/inside"))
        assert len(site.asked) == before + 1


def test_redirects_come_to_an_end(site: Site, names: dict[str, list[str]]) -> None:
    """A circle is left after a few rounds."""
    site.pages["/round"] = (301, {"Location": "/round"}, b"")
    with pytest.raises(FetchError, match="more than 3 times"):
        get(site.url("/round"))
    assert len(site.asked) == 4


def test_sizes_end_at_the_limit(site: Site, names: dict[str, list[str]]) -> None:
    """No more is read than an image may have."""
    site.pages["/a.png"] = (200, {}, bytes(LIMIT))
    assert len(get(site.url())) == LIMIT
    site.pages["/a.png"] = (200, {}, bytes(LIMIT + 1))
    with pytest.raises(FetchError, match="MAX_IMAGE_BYTES"):
        get(site.url())


def test_a_slow_server_is_left(site: Site, names: dict[str, list[str]]) -> None:
    """When the time is over, also in the middle of a header; the thread ends with it."""
    one = Fetch(site.url("/slow"), LIMIT)
    fetch_all([one], 0.2)
    with pytest.raises(FetchError, match="too long"):
        one.result()
    one._thread.join(10)
    assert not one._thread.is_alive()


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://user:secret@images.example/a.png", "user name"),
        ("http:///a.png", "not at an http"),
        ("http://images.example:99999/", "ValueError"),
        ("http://images.example\r\nX: y/", "Error"),
    ],
)
def test_addresses_that_are_not_fetched(names: dict[str, list[str]], url: str, why: str) -> None:
    """Credentials, and what is no address."""
    with pytest.raises(FetchError, match=why):
        get(url)


def test_images_are_sniffed_not_believed(site: Site, names: dict[str, list[str]]) -> None:
    """What a server calls an image has to be one; errors name the part."""
    site.pages["/b.png"] = (200, {"Content-Type": "image/png"}, b"<html>")
    site.pages["/c.png"] = (404, {}, png())
    settings = Settings(fetch_images=True)
    both = [("x", site.url()), ("y", site.url())]
    assert [image.data for image in images.load(both, settings)] == [png(), png()]
    for path, why in (("/b.png", "no PNG"), ("/c.png", "answered 404")):
        with pytest.raises(InvalidRequest, match=why) as caught:
            images.load([("x", site.url()), ("y", site.url(path))], settings)
        assert caught.value.param == "y"


def test_https_needs_tls(site: Site, names: dict[str, list[str]]) -> None:
    """A server without TLS behind an https address is an error in words, and no crash."""
    with pytest.raises(FetchError, match="SSL"):
        get(site.url().replace("http:", "https:"))
    assert site.asked == []
