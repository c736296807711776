"""Tricorn and llama-server's router with room for one model, asked for two in turn.

    python -m benchmarks.swap --binary PATH [--rounds 3]

Both servers are up all the time and take turns. Measured: the time from a request to the first
token of a model that is not in memory, since the other one is; and how many of 100 requests for
the two in turn, so many at once, are not answered.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import signal
import statistics
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

from benchmarks.client import complete
from benchmarks.scenarios import percentile, text
from benchmarks.servers import ROOT, Server, llama_router, tricorn_with_room_for_one

MODELS = ("first", "second")
SWAPS = 10
REQUESTS = 100
AT_ONCE = 4
TOKENS = 8


async def first_tokens(port: int) -> list[float]:
    """Seconds from each request to its first token, each for the model that is not in memory."""
    times = []
    for number in range(SWAPS):
        answer = await complete(port, MODELS[number % 2], text(64), TOKENS)
        times.append(answer.ttft)
    return times


async def lost(port: int) -> tuple[int, float]:
    """(requests without an answer, requests a second) of many for the two models in turn."""
    numbers = iter(range(REQUESTS))
    failed = 0

    async def ask() -> None:
        nonlocal failed
        for number in numbers:
            try:
                await complete(port, MODELS[number % 2], text(64), TOKENS)
            except (RuntimeError, OSError) as error:
                failed += 1
                print(f"lost: {str(error)[:200]}", flush=True)

    loop = asyncio.get_running_loop()
    started = loop.time()
    await asyncio.gather(*(ask() for _ in range(AT_ONCE)))
    return failed, REQUESTS / (loop.time() - started)


def measure(servers: list[Server], rounds: int) -> None:
    times: dict[str, list[float]] = defaultdict(list)
    failures: dict[str, list[int]] = defaultdict(list)
    rates: dict[str, list[float]] = defaultdict(list)
    for number in range(rounds):
        for server in servers if number % 2 == 0 else servers[::-1]:
            found = asyncio.run(first_tokens(server.port))
            failed, rate = asyncio.run(lost(server.port))
            times[server.name] += found[1:]  # the first may have been there already
            failures[server.name].append(failed)
            rates[server.name].append(rate)
            middle = statistics.median(found[1:])
            print(
                f"round {number + 1}, {server.name}: {middle:.3g} s, {failed} lost, {rate:.3g}/s",
                flush=True,
            )
    ours, theirs = (server.name for server in servers)
    print(f"| figure | Tricorn | {theirs} | ratio |\n|---|---|---|---|")
    for label, share in (("p50", 0.5), ("p90", 0.9)):
        a, b = (percentile(times[name], share) for name in (ours, theirs))
        print(f"| first token of an unloaded model, {label}, s | {a:.3g} | {b:.3g} | {a / b:.2f} |")
    a, b = (statistics.median(rates[name]) for name in (ours, theirs))
    print(f"| alternating requests a second, {AT_ONCE} at once | {a:.3g} | {b:.3g} | {a / b:.2f} |")
    lost_here, lost_there = (sum(failures[name]) for name in (ours, theirs))
    asked = REQUESTS * rounds
    print(f"| of {asked} alternating requests lost | {lost_here} | {lost_there} | |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    default_model = ROOT / "models" / "SmolLM2-135M-Instruct.Q4_1.gguf"
    parser.add_argument("--model", type=Path, default=default_model)
    parser.add_argument("--binary", type=Path, required=True, help="of llama-server")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    # Unwind the servers' context managers also when a time limit ends this program.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with tempfile.TemporaryDirectory(prefix="swap-") as folder:
        for name in MODELS:
            shutil.copyfile(options.model, Path(folder) / f"{name}.gguf")
        ours = tricorn_with_room_for_one(Path(folder), MODELS[0], options.threads)
        theirs = llama_router(options.binary, Path(folder), options.threads)
        with ours, theirs:
            measure([ours, theirs], options.rounds)


if __name__ == "__main__":
    main()
