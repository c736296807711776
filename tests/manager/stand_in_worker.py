"""A tiny engine worker that misbehaves on demand; the knobs are in `engine_args`.

exit            end with this code before saying anything
say             write this to standard error first
silent          connect, but never become ready
ignore_sigterm  and the Stop message, and the end of the lifeline
crash_on        end when this file appears … by a signal: SIGUSR1 ends it with code 9
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "src"))

from tricorn.engines.spec import EngineCapabilities, LoadedModel
from tricorn.manager.protocol import messages
from tricorn.manager.protocol.messages import ClientMessage, Hello
from tricorn.manager.protocol.worker import Ready, Stop
from tricorn.wire import FrameReader, connect, pack


def main() -> None:
    launch = json.loads(sys.stdin.readline())
    knobs = launch["spec"]["options"]["engine_args"]
    if "say" in knobs:
        print(knobs["say"], file=sys.stderr, flush=True)
    if "exit" in knobs:
        sys.exit(knobs["exit"])
    stubborn = knobs.get("ignore_sigterm", False)
    if stubborn:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGUSR1, lambda *_: os._exit(9))
    if not stubborn:
        threading.Thread(target=watch_lifeline, daemon=True).start()
    control = connect(launch["control_address"], 5)
    tell(control, Hello("worker", os.getpid(), launch["control_secret"], launch["replica"]))
    if not knobs.get("silent"):
        model = LoadedModel(4096, 257, 16, EngineCapabilities())
        tell(control, Ready("tcp:127.0.0.1:1", model))
    frames = FrameReader()
    while True:
        data = control.recv(65536)
        if not data and not stubborn:
            return
        for payload in frames.feed(data):
            if isinstance(messages.decode_manager(payload), Stop) and not stubborn:
                return
        if not data:
            threading.Event().wait()


def watch_lifeline() -> None:
    sys.stdin.read()
    os._exit(0)


def tell(control: socket.socket, message: ClientMessage) -> None:
    control.sendall(pack(messages.encode(message)))


main()
