"""The loads. Each takes a port and a model and gives named figures; every prompt is new."""

from __future__ import annotations

import asyncio
import random
import statistics
import subprocess
import sys
import time

from benchmarks.client import Answer, complete

WORDS = (  # noqa: SIM905 - a list literal of it is a page long
    "river stone market window garden silver engine letter winter bridge candle forest "
    "harbor pencil summer mirror kitchen ladder orange planet rocket shadow temple valley"
).split()


def text(words: int) -> str:
    """About `words` tokens that no earlier prompt began with."""
    return " ".join(random.choice(WORDS) for _ in range(words))


def percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


async def throughput(
    port: int, model: str, concurrent: int, tokens: int = 64, extra: dict | None = None
) -> dict[str, float]:
    """`concurrent` requests at once, `tokens` each after a prompt of about 64.

    extra: further fields of each request.
    """
    started = time.perf_counter()
    answers = await _at_once(
        [complete(port, model, text(64), tokens, extra) for _ in range(concurrent)]
    )
    taken = time.perf_counter() - started
    # While all of them decode: a server that answers some sooner ends them sooner, too.
    began = max(answer.arrivals[0] for answer in answers)
    ended = max(began, min(answer.arrivals[-1] for answer in answers))
    decoded = sum(began < t <= ended for answer in answers for t in answer.arrivals)
    gaps = [gap for answer in answers for gap in answer.gaps]
    return {
        "tokens_per_s": sum(answer.tokens for answer in answers) / taken,
        "decode_tokens_per_s": decoded / (ended - began) if ended > began else 0.0,
        "ttft_p50_s": statistics.median(answer.ttft for answer in answers),
        "ttft_p99_s": percentile([answer.ttft for answer in answers], 0.99),
        "itl_p50_s": statistics.median(gaps),
        "itl_p99_s": percentile(gaps, 0.99),
    }


async def alone(port: int, model: str, requests: int = 5) -> dict[str, float]:
    """As `throughput`, of one request after the other; a figure is their median."""
    results = [await throughput(port, model, 1) for _ in range(requests)]
    return {figure: statistics.median(one[figure] for one in results) for figure in results[0]}


async def shared_prefix(port: int, model: str) -> dict[str, float]:
    """A burst of 8 requests with one system prompt of about 1,000 tokens."""
    system = text(1000)
    answers = await _at_once(
        [complete(port, model, f"{system}\n\nQuestion {i}: {text(8)}?", 32) for i in range(8)]
    )
    ttfts = [answer.ttft for answer in answers]
    return {"ttft_p50_s": statistics.median(ttfts), "ttft_max_s": max(ttfts)}


async def mixed(port: int, model: str) -> dict[str, float]:
    """4 streams of 160 tokens; meanwhile 3 prompts of about 1,000 tokens arrive."""
    streams = [asyncio.create_task(complete(port, model, text(32), 160)) for _ in range(4)]
    await asyncio.sleep(1.5)
    long = []
    for _ in range(3):
        long.append(asyncio.create_task(complete(port, model, text(1000), 8)))
        await asyncio.sleep(0.5)
    answers = await asyncio.gather(*streams)
    late = await asyncio.gather(*long)
    gaps = [gap for answer in answers for gap in answer.gaps]
    return {
        "itl_p50_s": statistics.median(gaps),
        "itl_p99_s": percentile(gaps, 0.99),
        "itl_max_s": max(gaps),
        "long_ttft_p50_s": statistics.median(answer.ttft for answer in late),
    }


async def busy_neighbour(port: int, model: str) -> dict[str, float]:
    """4 at once, 16 tokens each, while another process computes without a pause."""
    neighbour = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        return await throughput(port, model, 4, tokens=16)
    finally:
        neighbour.kill()
        neighbour.wait()


async def _at_once(requests: list) -> list[Answer]:
    return list(await asyncio.gather(*requests))
