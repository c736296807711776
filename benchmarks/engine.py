"""What Tricorn's own batching costs: its llama.cpp engine beside llama-batched-bench.

    python -m benchmarks.engine --batched-bench PATH [--rounds 10] [--concurrent 16]

Neither has a server or a client around it, both decode 64 tokens after prompts of 64 with the same
number of threads, in turns; what counts is the ratio.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
from functools import partial
from pathlib import Path

from benchmarks.servers import ROOT, batched_bench


def start(model: Path, threads: int, concurrent: int) -> subprocess.Popen[str]:
    python = ROOT / ".engines" / "llama_cpp" / "bin" / "python"
    command = [python, "-m", "benchmarks.engine_process", model, str(threads), str(concurrent)]
    path = os.pathsep.join([str(ROOT / "src"), str(ROOT)])
    return subprocess.Popen(
        command,
        env={**os.environ, "PYTHONPATH": path},
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )


def rate(engine: subprocess.Popen[str]) -> float:
    """RuntimeError where the process has ended."""
    assert engine.stdin is not None
    assert engine.stdout is not None
    print(file=engine.stdin, flush=True)
    for line in engine.stdout:
        if line.startswith("rate "):
            return float(line.split()[1])
    raise RuntimeError("the engine's process ended")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    default_model = ROOT / "models" / "SmolLM2-135M-Instruct.Q4_1.gguf"
    parser.add_argument("--model", type=Path, default=default_model)
    parser.add_argument("--batched-bench", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--concurrent", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=10)
    options = parser.parse_args()
    model = options.model.resolve()
    ratios = []
    with start(model, options.threads, options.concurrent) as engine:
        rate(engine)  # warms up
        measured = {
            "engine": partial(rate, engine),
            "limit": partial(
                batched_bench, options.batched_bench, model, options.threads, options.concurrent
            ),
        }
        for number in range(options.rounds):
            sides = list(measured.items())
            rates = {side: measure() for side, measure in (sides if number % 2 else sides[::-1])}
            ratios.append(rates["engine"] / rates["limit"])
            print(
                f"round {number + 1}: engine {rates['engine']:.1f}, llama-batched-bench "
                f"{rates['limit']:.1f} tokens/s, ratio {ratios[-1]:.3f}",
                flush=True,
            )
        assert engine.stdin is not None
        engine.stdin.close()
    print(f"median of the ratios: {statistics.median(ratios):.3f}")


if __name__ == "__main__":
    main()
