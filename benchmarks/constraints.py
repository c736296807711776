"""What following a JSON schema costs: decode throughput at 8 with and without it.

    python -m benchmarks.constraints [--rounds 5]

One server (llama.cpp), plain and constrained requests in turns; what counts is the ratio.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
from pathlib import Path

from benchmarks import scenarios
from benchmarks.servers import ROOT, tricorn

CONCURRENT = 8
ENDLESS = {
    "type": "array",
    "minItems": 1000,
    "items": {
        "type": "object",
        "properties": {
            "name": {"type": "string", "maxLength": 40},
            "age": {"type": "integer", "minimum": 0, "maximum": 120},
            "kind": {"enum": ["person", "animal", "thing"]},
        },
        "required": ["name", "age", "kind"],
        "additionalProperties": False,
    },
}
"""No answer of 64 tokens reaches its end, so that both kinds of request have the same length."""
CONSTRAINED = {"structured_outputs": {"json": ENDLESS}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    default_model = ROOT / "models" / "SmolLM2-135M-Instruct.Q4_1.gguf"
    parser.add_argument("--model", type=Path, default=default_model)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    ratios = []
    with tricorn(options.model.resolve(), options.threads, "llamacpp") as server:
        for extra in (None, CONSTRAINED):  # warms up, and reads the vocabulary for constraints
            asyncio.run(scenarios.throughput(server.port, server.model(), 2, extra=extra))
        for number in range(options.rounds):
            order = (None, CONSTRAINED) if number % 2 == 0 else (CONSTRAINED, None)
            rates = {}
            for extra in order:
                figures = asyncio.run(
                    scenarios.throughput(server.port, server.model(), CONCURRENT, extra=extra)
                )
                rates[extra is None] = figures["decode_tokens_per_s"]
            ratios.append(rates[False] / rates[True])
            print(
                f"round {number + 1}: plain {rates[True]:.1f}, constrained {rates[False]:.1f} "
                f"tokens/s, ratio {ratios[-1]:.3f}",
                flush=True,
            )
    print(f"median of the ratios: {statistics.median(ratios):.3f}")


if __name__ == "__main__":
    main()
