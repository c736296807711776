"""The gateway as one process, on gevent's own server: where there is no gunicorn, which is Windows,
or where GATEWAY_SERVER=pywsgi asks for it.

A manager starts it as it does gunicorn, with TRICORN_MANAGED=1, TRICORN_RUN_DIR and, where it can
hand its socket on, TRICORN_LISTENER. It ends as gunicorn's workers do: SIGTERM, or the end of what
the manager has given it as standard input, has it take no more connections and finish its requests,
SIGQUIT cuts them. There is no reloading in dev mode, and a changed certificate needs a restart.
"""

# ruff: noqa: E402 (patching comes before every other import, or locks made before it stay real)

from __future__ import annotations

from gevent import monkey

monkey.patch_all()

import errno
import io
import os
import signal
import socket
import sys
import time
from typing import Any, BinaryIO

import gevent
import structlog
from flask import Flask
from gevent import pywsgi
from gevent.pool import Pool

from tricorn import tls
from tricorn.errors import StartupError
from tricorn.gateway.app import create_app
from tricorn.gateway.http import instance, lifeline, strict_head
from tricorn.gateway.http.companion import end_with_parent
from tricorn.gateway.http.patience import Patience
from tricorn.gateway.http.watchdog import Watchdog, end
from tricorn.gateway.services import EXTENSION, Services
from tricorn.settings.config import Settings

STANDARD_INPUT = 0
LOOK_S = 0.25
QUIET_S = 1.0
"""A connection that has been silent for so long carries no request."""
PIECE = 65536
UNREAD_BYTES = 1024 * 1024
"""What is read of a body that the answer did not need; a connection with more is closed."""

log = structlog.get_logger(part="gateway")


class Body(pywsgi.Input):  # type: ignore[misc] # gevent is typed in part
    """Of a request; it has to come within `patience`.

    left: more of it was not read than a connection is kept for.
    """

    def __init__(self, body: pywsgi.Input, patience: Patience) -> None:
        super().__init__(body.rfile, body.content_length, body.socket, body.chunked_input)
        self._patience = patience
        self._began = time.monotonic()
        self.left = False

    def read(self, length: int | None = None) -> bytes:
        """ConnectionResetError where it takes too long."""
        if length is None or length < 0:
            return b"".join(iter(lambda: self.read(PIECE), b""))
        patience = self._patience.body_s + self.position / self._patience.rate
        with _at_most(self._began + patience - time.monotonic(), "its body"):
            piece: bytes = super().read(min(length, PIECE))
            return piece

    def _discard(self) -> None:
        # A client that waits to be asked for its body is not asked now.
        self.send_100_continue_enabled = False
        self.left = True
        if self._chunked_input_error or (self.position == 0 and self.socket is not None):
            return
        read = 0
        with gevent.Timeout(QUIET_S, False):
            while read <= UNREAD_BYTES and (piece := self.read(PIECE)):
                read += len(piece)
            self.left = read > UNREAD_BYTES


def _at_most(seconds: float, what: str) -> gevent.Timeout:
    """For `with`. Ends what is in it like a connection that breaks, which nobody wonders at."""
    late = ConnectionResetError(errno.ECONNRESET, f"{what} takes too long")
    return gevent.Timeout(max(0.001, seconds), late)


class Handler(pywsgi.WSGIHandler):  # type: ignore[misc]
    """Of one connection. Bounds what gevent's own does not: how long a client may take, and what is
    read in vain."""

    server: Server
    wsgi_input: Any

    def read_requestline(self) -> str:
        quiet = self.server.quiet
        quiet[gevent.getcurrent()] = time.monotonic()
        try:
            with gevent.Timeout(self.server.patience.idle_s, False):
                line: str = super().read_requestline()
                return line
            return ""
        finally:
            quiet.pop(gevent.getcurrent(), None)

    def read_request(self, raw_requestline: str) -> bool:
        if len(raw_requestline.split(" ")) != 3 or not raw_requestline.endswith("\r\n"):
            raise ValueError("its first line is none")
        with gevent.Timeout(self.server.patience.head_s, False):
            read: bool = super().read_request(raw_requestline)
            return read
        raise ValueError("its head did not come in time")

    def MessageClass(self, file: BinaryIO, *_: Any) -> Any:
        """What comes after the first line; ValueError where that is no head."""
        return pywsgi.headers_factory(io.BytesIO(strict_head.read(file)))

    def get_environ(self) -> dict[str, Any]:
        environ: dict[str, Any] = super().get_environ()
        plain = self.wsgi_input
        self.wsgi_input = Body(plain, self.server.patience)
        if environ["wsgi.input"] is plain:
            environ["wsgi.input"] = self.wsgi_input
        environ["tricorn.socket"] = self.socket
        return environ

    def _sendall(self, data: bytes) -> None:
        with _at_most(self.server.patience.to_send(len(data)), "its answer"):
            super()._sendall(data)

    def handle_one_response(self) -> None:
        super().handle_one_response()
        if self.wsgi_input.left or self.server.closed:
            self.close_connection = True

    def log_request(self) -> None:
        """Requests are logged by the application."""


class Complaints:
    """gevent's messages, as lines of our log."""

    def write(self, text: str) -> None:
        log.debug(text.strip())

    def flush(self) -> None:
        pass


class Server(pywsgi.WSGIServer):  # type: ignore[misc]
    """`run` serves until a signal has come and what was under way has ended."""

    def __init__(self, listener: socket.socket, app: Flask, settings: Settings) -> None:
        self.patience = Patience.of(settings)
        self.quiet: dict[gevent.Greenlet, float] = {}
        """Connections without a request, since when on the monotonic clock."""
        self._cut = False
        self._stopped = False
        secure = {}
        if settings.tls_cert is not None:
            secure = {"ssl_context": tls.server_context(settings.tls_cert, settings.tls_key)}
        super().__init__(
            listener,
            app,
            spawn=Pool(settings.max_connections),
            handler_class=Handler,
            log=None,
            error_log=Complaints(),
            **secure,
        )

    def end_with(self, lifeline: int) -> None:
        """As SIGTERM, once there is no more to read from this descriptor."""

        def watch() -> None:
            while os.read(lifeline, PIECE):
                continue
            self._stopped = True

        monkey.get_original("_thread", "start_new_thread")(watch, ())

    def run(self) -> None:
        signal.signal(signal.SIGTERM, self._stop_soon)
        signal.signal(signal.SIGINT, self._stop_soon)
        if sys.platform == "win32":
            signal.signal(signal.SIGBREAK, self._stop_soon)
        else:
            signal.signal(signal.SIGQUIT, self._cut_soon)
        watchdog = Watchdog(end)
        watchdog.start()
        self.start()
        while not self._stopped:
            gevent.sleep(LOOK_S)
            watchdog.beat()
        self.close()
        while self.pool.free_count() < self.pool.size and not self._cut:
            watchdog.beat()
            before = time.monotonic() - QUIET_S
            silent = [one for one, since in self.quiet.items() if since <= before]
            gevent.killall(silent, block=False)
            gevent.sleep(LOOK_S)
        self.pool.kill(timeout=1)

    def _stop_soon(self, number: int, frame: Any) -> None:
        self._stopped = True

    def _cut_soon(self, number: int, frame: Any) -> None:
        self._stopped = self._cut = True


def listener(settings: Settings) -> socket.socket:
    """The manager's, where it has handed one on, else one of our own. StartupError."""
    # Imported here: the manager's modules know nothing of gevent, and need not.
    from tricorn.manager.lifecycle.listening import bind

    given = os.environ.pop("TRICORN_LISTENER", None)
    found = socket.socket(fileno=int(given)) if given else bind(settings.host, settings.port)
    found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    found.listen(2048)
    found.setblocking(False)
    return found


def main() -> int:
    """The exit code."""
    managed = os.environ.get(lifeline.MANAGED) == "1"
    try:
        settings = instance.settings()
        if managed:
            end_with_parent()
            os.environ[lifeline.SINGLE] = "1"
        app = create_app()
        services = app.extensions[EXTENSION]
        assert isinstance(services, Services)
        server = Server(listener(settings), app, settings)
    except StartupError as error:
        print(f"tricorn: {error.message}", file=sys.stderr)
        return 1
    services.start()
    if managed:
        server.end_with(STANDARD_INPUT)
    try:
        server.run()
    finally:
        services.on_end()
    return 0


if __name__ == "__main__":
    sys.exit(main())
