"""What transformers computes for a prompt, to compare engines with. Runs in vLLM's environment,
which has torch:

    ENGINE_PYTHON tests/conformance/reference.py FOLDER TOKENS TOKEN_ID...

Prints JSON: a list of [token id, logprob], the greedy continuation in float32.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path


def continuation(python: Path, folder: Path, prompt: list[int], tokens: int) -> list[list[float]]:
    """`tokens` times [token id, natural logarithm of its probability]."""
    command = [str(python), __file__, str(folder), str(tokens), *map(str, prompt)]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found: list[list[float]] = json.loads(printed.splitlines()[-1])
    return found


def main(folder: str, tokens: int, prompt: list[int]) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    ids, found = list(prompt), []
    with torch.inference_mode():
        for _ in range(tokens):
            logprobs = model(torch.tensor([ids])).logits[0, -1].log_softmax(-1)
            best = int(logprobs.argmax())
            found.append([best, float(logprobs[best])])
            ids.append(best)
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), [int(word) for word in sys.argv[3:]])
