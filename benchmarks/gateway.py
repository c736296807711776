"""What the gateway costs: CPU time of its worker for each streamed token.

    python -m benchmarks.gateway [--streams 32] [--tokens 400] [--rate 50]

The engine is the FakeEngine, which gives every stream a token at the same moment, as engines under
continuous batching do; so each token is a chunk and a write of its own, and none is saved by being
late. The answers are those of a model that calls tools, and are parsed for calls. CPU time counts,
not time on the clock, so other load on the machine shows little.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
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


async def stream(port: int, tokens: int, *, tools: bool) -> int:
    """Read one streamed answer; how many tokens it had."""
    body = {
        "model": "m",
        "messages": [{"role": "user", "content": "How is the weather in Paris?"}],
        "max_tokens": tokens,
        "stream": True,
        "stream_options": {"include_usage": True},
        **({"tools": [TOOL]} if tools else {}),
    }
    sent = json.dumps(body).encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(sent) + sent
    )
    usage = None
    try:
        while line := await reader.readline():
            if line.startswith(b"data: {") and b'"usage":{' in line:
                usage = json.loads(line[6:])["usage"]
    finally:
        writer.close()
    if usage is None:
        raise RuntimeError("a stream ended early")
    return int(usage["completion_tokens"])


async def streams(port: int, count: int, tokens: int, *, tools: bool) -> int:
    """As many streams at once; how many tokens they had."""
    return sum(await asyncio.gather(*(stream(port, tokens, tools=tools) for _ in range(count))))


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
        asyncio.run(streams(running.port, count, WARM_UP, tools=True))
        for tools in (False, True):
            costs = []
            for _ in range(options.rounds):
                before = cpu_s(worker)
                told = asyncio.run(streams(running.port, count, tokens, tools=tools))
                costs.append((cpu_s(worker) - before) / told * 1e6)
            shown = ", ".join(f"{cost:.0f}" for cost in costs)
            what = "tools parsed" if tools else "plain text"
            print(f"{what}: {statistics.median(costs):.0f} µs a token ({shown})")


if __name__ == "__main__":
    main()
