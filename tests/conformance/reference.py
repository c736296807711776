"""What transformers computes for a prompt, to compare engines with. Runs in vLLM's environment,
which has torch:

    ENGINE_PYTHON tests/conformance/reference.py FOLDER TOKENS ADAPTER TOKEN_ID...

ADAPTER is the folder of a LoRA adapter to merge into the weights, or -.
Prints JSON: lists of [token id, logprob], in float32: of the prompt's tokens from the second one
on, then of the greedy continuation.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any


def continuation(
    python: Path, folder: Path, prompt: list[int], tokens: int, *, adapter: Path | None = None
) -> list[list[float]]:
    """`tokens` times [token id, natural logarithm of its probability]."""
    return _computed(python, folder, prompt, tokens, adapter)[len(prompt) - 1 :]


def of_prompt(python: Path, folder: Path, prompt: list[int]) -> list[float]:
    """The natural logarithms of its tokens' probabilities, from the second one on."""
    return [logprob for _, logprob in _computed(python, folder, prompt, 0, None)]


def _computed(
    python: Path, folder: Path, prompt: list[int], tokens: int, adapter: Path | None
) -> list[list[float]]:
    command = [str(python), __file__, str(folder), str(tokens), str(adapter or "-")]
    command += map(str, prompt)
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found: list[list[float]] = json.loads(printed.splitlines()[-1])
    return found


def main(folder: str, tokens: int, adapter: str, prompt: list[int]) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    if adapter != "-":
        _merge(model, Path(adapter))
    ids, found = list(prompt), []
    with torch.inference_mode():
        read = model(torch.tensor([prompt])).logits[0].log_softmax(-1)
        found += [[token, float(read[at, token])] for at, token in enumerate(prompt[1:])]
        for _ in range(tokens):
            logprobs = model(torch.tensor([ids])).logits[0, -1].log_softmax(-1)
            best = int(logprobs.argmax())
            found.append([best, float(logprobs[best])])
            ids.append(best)
    print(json.dumps(found))


def _merge(model: Any, adapter: Path) -> None:
    """Add each layer's B·A, scaled by alpha / r, to its weights."""
    from safetensors.torch import load_file

    config = json.loads((adapter / "adapter_config.json").read_text())
    tensors = load_file(adapter / "adapter_model.safetensors")
    for name, a in tensors.items():
        if name.endswith(".lora_A.weight"):
            layer = name.removeprefix("base_model.model.").removesuffix(".lora_A.weight")
            b = tensors[name.replace("lora_A", "lora_B")]
            weight = model.get_submodule(layer).weight
            weight.data += config["lora_alpha"] / config["r"] * (b @ a)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3], [int(word) for word in sys.argv[4:]])
