"""The llama.cpp engine without gateway and clients. Run in the engine's own environment by
`benchmarks.engine`: each line on standard input is answered by one decode rate, tokens a second.
"""

from __future__ import annotations

import asyncio
import random
import sys
import time

from tricorn.engines.base import InferenceEngine
from tricorn.engines.registry import create
from tricorn.engines.request import GenerateRequest, SamplingParams
from tricorn.engines.spec import EngineOptions, ModelSpec

PROMPT = 64
TOKENS = 64
ASK_FOR = SamplingParams(temperature=0, max_tokens=TOKENS, ignore_eos=True)


async def decode_rate(engine: InferenceEngine, concurrent: int) -> float:
    """Of `concurrent` new prompts, while all of them decode."""
    arrivals = await asyncio.gather(*(_answer(engine, str(one)) for one in range(concurrent)))
    began = max(times[0] for times in arrivals)
    ended = min(times[-1] for times in arrivals)
    return sum(began < t <= ended for times in arrivals for t in times) / (ended - began)


async def _answer(engine: InferenceEngine, name: str) -> list[float]:
    """When each of its tokens came."""
    prompt = [random.randrange(1000, 40000) for _ in range(PROMPT)]
    times = []
    async for delta in engine.generate(GenerateRequest(name, prompt, ASK_FOR)):
        times += [time.perf_counter()] * len(delta.token_ids)
    return times


async def main() -> None:
    model, threads, concurrent = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    engine = create("llamacpp")
    options = EngineOptions(threads=threads, context_length=8192)
    await engine.load(ModelSpec("model", model, "gguf", "llamacpp", "", 0, 0, options))
    while await asyncio.to_thread(sys.stdin.readline):
        print("rate", await decode_rate(engine, concurrent), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
