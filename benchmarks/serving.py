"""Tricorn and an engine's own server side by side, on the same model.

    python -m benchmarks.serving llama-server --binary PATH [--batched-bench PATH] [--rounds 10]
    python -m benchmarks.serving mlx_lm.server --model FOLDER
    python -m benchmarks.serving vllm --model FOLDER

Both servers are up all the time and take turns, short ones, so that a noisy moment hits both; a
figure is the median of its rounds, and what counts is the ratio.
`benchmarks/build_llama_server.sh` builds llama-server; the other two are in Tricorn's own engine
environments.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

from benchmarks import scenarios
from benchmarks.servers import (
    ROOT,
    Server,
    batched_bench,
    llama_server,
    mlx_lm_server,
    tricorn,
    vllm_serve,
)

Load = Callable[[int, str], Awaitable[dict[str, float]]]

LOADS: dict[str, Load] = {
    "1 at once": scenarios.alone,
    "4 at once": lambda port, model: scenarios.throughput(port, model, 4),
    "16 at once": lambda port, model: scenarios.throughput(port, model, 16),
    "shared prefix": scenarios.shared_prefix,
    "mixed": scenarios.mixed,
    "busy neighbour": scenarios.busy_neighbour,
}
REPORTED = {
    "1 at once": ["tokens_per_s", "decode_tokens_per_s", "ttft_p50_s", "itl_p50_s", "itl_p99_s"],
    "4 at once": ["tokens_per_s", "decode_tokens_per_s", "ttft_p50_s", "itl_p50_s", "itl_p99_s"],
    "16 at once": ["tokens_per_s", "decode_tokens_per_s", "ttft_p50_s", "itl_p50_s", "itl_p99_s"],
    "shared prefix": ["ttft_p50_s", "ttft_max_s"],
    "mixed": ["itl_p50_s", "itl_p99_s", "itl_max_s", "long_ttft_p50_s"],
    "busy neighbour": ["tokens_per_s", "ttft_p50_s", "itl_p50_s"],
}

Figures = dict[tuple[str, str, str], list[float]]
"""(load, figure, server) → one value a round."""


PAUSE_S = 2.0
"""Before each turn: the other engine's threads still spin for a while after its last step, vLLM's
for a second."""
LIMIT = ("16 at once", "decode_tokens_per_s", "llama-batched-bench")
"""Where the figures have what llama.cpp does with nothing around it."""


def measure(
    servers: list[Server], loads: list[str], rounds: int, limit: Callable[[], float] | None
) -> Figures:
    """limit: measures llama-batched-bench, each time after the load that it is the limit of."""
    figures: Figures = defaultdict(list)
    for server in servers:  # the first requests warm both up and are not counted
        asyncio.run(scenarios.throughput(server.port, server.model(), 2))
    for number in range(rounds):
        order = servers if number % 2 == 0 else servers[::-1]
        for load in loads:
            for server in order:
                time.sleep(PAUSE_S)
                result = asyncio.run(LOADS[load](server.port, server.model()))
                shown = ", ".join(f"{figure} {value:.3g}" for figure, value in result.items())
                print(f"round {number + 1}, {load}, {server.name}: {shown}", flush=True)
                for figure, value in result.items():
                    figures[load, figure, server.name].append(value)
            if limit is not None and load == LIMIT[0]:
                figures[LIMIT].append(limit())
                print(f"round {number + 1}, {LIMIT[2]}: {figures[LIMIT][-1]:.3g}", flush=True)
    return figures


def table(figures: Figures, peer: str) -> str:
    lines = [f"| load | figure | Tricorn | {peer} | ratio |", "|---|---|---|---|---|"]
    for load, names in REPORTED.items():
        for figure in names:
            ours, theirs = figures[load, figure, "tricorn"], figures[load, figure, peer]
            if not ours:
                continue
            # No decode rate comes of a round in which never all of a server's streams decode.
            ratios = [a / b for a, b in zip(ours, theirs, strict=True) if a and b]
            ratio = f"{statistics.median(ratios):.2f}" if ratios else "–"
            lines.append(
                f"| {load} | {figure} | {statistics.median(ours):.3g} "
                f"| {statistics.median(theirs):.3g} | {ratio} |"
            )
    return "\n".join(lines)


def servers(options: argparse.Namespace) -> tuple[Server, Server]:
    """Tricorn and its peer, both starting."""
    model, threads = options.model.resolve(), options.threads
    match options.peer:
        case "llama-server":
            return tricorn(model, threads, "llamacpp"), llama_server(options.binary, model, threads)
        case "mlx_lm.server":
            return tricorn(model, threads, "mlx"), mlx_lm_server(model)
        case _:
            return tricorn(model, threads, "vllm"), vllm_serve(model, threads)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    default_model = ROOT / "models" / "SmolLM2-135M-Instruct.Q4_1.gguf"
    parser.add_argument("peer", choices=["llama-server", "mlx_lm.server", "vllm"])
    parser.add_argument("--model", type=Path, default=default_model)
    parser.add_argument("--binary", type=Path, help="of llama-server")
    parser.add_argument("--batched-bench", type=Path, help="of llama-batched-bench")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--loads", nargs="*", choices=list(LOADS), default=list(LOADS))
    options = parser.parse_args()
    # Unwind the servers' context managers also when a time limit ends this program.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    ours, theirs = servers(options)
    limit = None
    if options.batched_bench:
        limit = partial(
            batched_bench, options.batched_bench, options.model, options.threads, concurrent=16
        )
    with ours, theirs:
        figures = measure([ours, theirs], options.loads, options.rounds, limit)
    print(table(figures, theirs.name))
    if limits := figures[LIMIT]:
        decoded = figures[*LIMIT[:2], ours.name]
        share = statistics.median(a / b for a, b in zip(decoded, limits, strict=True))
        print(
            f"\nllama-batched-bench decodes {statistics.median(limits):.0f} tokens/s at 16; "
            f"Tricorn {share:.2f} of it"
        )


if __name__ == "__main__":
    main()
