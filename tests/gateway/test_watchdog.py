"""tricorn.gateway.http.watchdog: in a process of its own, whose event loop gevent has patched; by
itself, and as the gateway's server has one."""

from __future__ import annotations

import socket
import subprocess
import sys

from tricorn.gateway.http.watchdog import HUNG

PROGRAM = """
from gevent import monkey

monkey.patch_all()
import gevent, sys
from tricorn.gateway.http.watchdog import Watchdog, end

def count_for_ever():
    while True:
        pass

watchdog = Watchdog(end, patience_s=0.5, look_s=0.05)
watchdog.start()
for _ in range(30):
    gevent.sleep(0.05)
    watchdog.beat()
print("still here", flush=True)
if sys.argv[1] == "hangs":
    count_for_ever()
"""


SERVER = """
from functools import partial

from tricorn.gateway.http import single_process, watchdog

single_process.Watchdog = partial(watchdog.Watchdog, patience_s=0.5, look_s=0.05)
from flask import Flask
from tricorn.manager.lifecycle.listening import bind
from tricorn.settings.config import Settings

app = Flask("app")

@app.get("/hang")
def count_for_ever():
    while True:
        pass

listener = bind("127.0.0.1", 0)
listener.listen()
listener.setblocking(False)
print(listener.getsockname()[1], flush=True)
single_process.Server(listener, app, Settings(_env_file=None)).run()
"""


def run(what: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", PROGRAM, what]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


def test_a_process_that_hangs() -> None:
    """It is left alone while its event loop turns, and ended when that does not; it tells where."""
    ended = run("hangs")
    assert ended.returncode == HUNG
    assert ended.stdout == "still here\n"
    assert "the gateway hangs" in ended.stderr
    assert "count_for_ever" in ended.stderr


def test_a_process_that_is_well() -> None:
    """It ends as ever."""
    ended = run("is well")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "still here\n", "")


def test_the_gateway_has_one() -> None:
    """A request that never lets go ends its process, instead of all others for ever."""
    with subprocess.Popen(
        [sys.executable, "-c", SERVER], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        port = int(server.stdout.readline())
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
                client.sendall(b"GET /hang HTTP/1.1\r\nHost: here\r\n\r\n")
                _, told = server.communicate(timeout=30)
        finally:
            server.kill()
    assert server.returncode == HUNG
    assert "count_for_ever" in told
