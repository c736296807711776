"""What the gateway costs: CPU time of its worker for each streamed token.

    python -m benchmarks.gateway [--streams 32] [--tokens 400] [--rate 50]

The engine is the FakeEngine, which gives every stream a token at the same moment, as engines under
continuous batching do; so each token is a chunk and a write of its own, and none is saved by being
late. The answers are those of a model that calls tools, and are parsed for calls. The clients look
a few times a second for what has come: one that slept on its socket would be woken by each token,
and on one machine Linux charges that to who has sent it. CPU time counts, not time on the clock, so
other load on the machine shows little.
"""

from __future__ import annotations

import argparse
import json
import re
import socket
import statistics
import sys
import tempfile
import time
from pathlib import Path

import psutil

from benchmarks.servers import ROOT, Server, free_port

TEMPLATE = (
    "{% for tool in tools or [] %}<tools>{{ tool | tojson }}</tools>{% endfor %}"
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content or '' }}"
    "{% for call in m.tool_calls or [] %}<tool_call>\n"
    '{"name": "{{ call.function.name }}", "arguments": {{ call.function.arguments | tojson }}}\n'
    "</tool_call>{% endfor %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
"""In the format of Hermes and Qwen."""
ANSWER = (
    "Let me look that up, it will take but a moment of your time, and then we shall know more.\n"
    '<tool_call>\n{"name": "weather", "arguments": {"city": "Paris", "days": 3}}\n</tool_call>\n'
)
TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
        },
    },
}
WARM_UP = 20
"""Tokens of each stream."""
POLL_S = 0.1


def server(folder: Path, *, streams: int, rate: float) -> Server:
    """Tricorn with one gateway worker before a FakeEngine. rate: tokens a second of each stream."""
    port = free_port()
    engine_args = {
        "answer": ANSWER,
        "endless": True,
        "token_delay_s": 1 / rate,
        "chat_template": TEMPLATE,
    }
    model = {"engine": "fake", "max_num_seqs": streams, "engine_args": engine_args}
    settings = {"models": {"m": model}, "run_dir": str(folder / "run"), "workers": 1}
    for name in ("model_base_path", "data_dir", "log_dir"):
        settings[name] = str(folder / name)
        (folder / name).mkdir()
    config = folder / "tricorn.yaml"
    config.write_text(json.dumps(settings))
    command = [sys.executable, "-m", "tricorn.cli", "serve", "--skip-check", "--mode", "prod"]
    command += ["--config", str(config), "--port", str(port)]
    return Server("tricorn", command, port, "/ready", {"PYTHONPATH": str(ROOT / "src")})


class Stream:
    """One streamed answer, read by `drain`."""

    def __init__(self, port: int, tokens: int, *, tools: bool) -> None:
        body = {
            "model": "m",
            "messages": [{"role": "user", "content": "How is the weather in Paris?"}],
            "max_tokens": tokens,
            "stream": True,
            "stream_options": {"include_usage": True},
            **({"tools": [TOOL]} if tools else {}),
        }
        sent = json.dumps(body).encode()
        self._end = b""
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
            b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(sent) + sent
        )
        self._socket.setblocking(False)

    def drain(self) -> bool:
        """Take what has come; whether the answer is over."""
        try:
            while data := self._socket.recv(1 << 20):
                self._end = (self._end + data)[-4096:]
        except BlockingIOError:
            return False
        self._socket.close()
        return True

    def tokens(self) -> int:
        """How many the answer had, once it is over."""
        counted = re.search(rb'"completion_tokens":(\d+)', self._end)
        if counted is None:
            raise RuntimeError("a stream ended early: " + self._end.decode(errors="replace"))
        return int(counted[1])


def streams(port: int, count: int, tokens: int, *, tools: bool) -> int:
    """As many streams at once; how many tokens they had."""
    begun = [Stream(port, tokens, tools=tools) for _ in range(count)]
    running = list(begun)
    while running:
        time.sleep(POLL_S)
        running = [one for one in running if not one.drain()]
    return sum(one.tokens() for one in begun)


def gateway_worker() -> psutil.Process:
    """Of the server that this process has started: the manager's child's child is the one."""
    for process in psutil.Process().children(recursive=True):
        parent = process.parent()
        if parent is not None and all(
            "gunicorn" in " ".join(p.cmdline()) for p in (parent, process)
        ):
            return process
    raise RuntimeError("there is no gateway worker")


def cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--streams", type=int, default=32)
    parser.add_argument("--tokens", type=int, default=400, help="of each stream")
    parser.add_argument("--rate", type=float, default=50, help="tokens a second of each stream")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    count, tokens = options.streams, options.tokens
    with (
        tempfile.TemporaryDirectory(prefix="tricorn-") as folder,
        server(Path(folder), streams=count, rate=options.rate) as running,
    ):
        worker = gateway_worker()
        streams(running.port, count, WARM_UP, tools=True)
        for tools in (False, True):
            costs = []
            for _ in range(options.rounds):
                before = cpu_s(worker)
                told = streams(running.port, count, tokens, tools=tools)
                costs.append((cpu_s(worker) - before) / told * 1e6)
            shown = ", ".join(f"{cost:.0f}" for cost in costs)
            what = "tools parsed" if tools else "plain text"
            print(f"{what}: {statistics.median(costs):.0f} µs a token ({shown})")


if __name__ == "__main__":
    main()
