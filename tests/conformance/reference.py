"""What an engine's answers should be, computed by transformers (`torch_process`).

Every function's `python` is that of vLLM's environment.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

SCRIPT = Path(__file__).with_name("torch_process.py")
QUIET = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error", "TQDM_DISABLE": "1"}


def continuation(
    python: Path, folder: Path, prompt: Sequence[int], tokens: int, *, adapter: Path | None = None
) -> list[list[float]]:
    """`tokens` times [token id, natural logarithm of its probability].

    adapter: the folder of a LoRA adapter to merge into the weights.
    """
    merged = None if adapter is None else str(adapter)
    found: list[list[float]] = _computed(python, "read", str(folder), prompt, tokens, merged)
    return found[len(prompt) - 1 :]


def of_prompt(python: Path, folder: Path, prompt: Sequence[int]) -> list[float]:
    """The natural logarithms of its tokens' probabilities, from the second one on."""
    return [logprob for _, logprob in _computed(python, "read", str(folder), prompt, 0)]


def embeddings(python: Path, folder: Path, texts: Sequence[str]) -> list[list[float]]:
    """Of length 1 each, the mean over the tokens."""
    found: list[list[float]] = _computed(python, "embed", str(folder), texts)
    return found


def scores(python: Path, folder: Path, query: str, documents: Sequence[str]) -> list[float]:
    """How well each document answers the query, 0 to 1."""
    found: list[float] = _computed(python, "score", str(folder), query, documents)
    return found


def make_cross_encoder(python: Path, folder: Path, tokenizer: Path) -> None:
    """A small one with random weights."""
    _computed(python, "make_cross_encoder", str(folder), str(tokenizer))


def _computed(python: Path, function: str, *arguments: object) -> Any:
    return json.loads(_answer(python, json.dumps([function, *arguments])))


@cache
def _answer(python: Path, asked: str) -> str:
    """Several engines are compared with the same answers."""
    process = _process(python)
    assert process.stdin is not None
    assert process.stdout is not None
    answer = ""
    with contextlib.suppress(BrokenPipeError):  # it has ended since the last one
        process.stdin.write(asked + "\n")
        process.stdin.flush()
        answer = process.stdout.readline()
    if not answer:
        _process.cache_clear()
        raise AssertionError(f"torch_process.py ended with {process.wait(30)} at {asked[:200]}")
    return answer


@cache
def _process(python: Path) -> subprocess.Popen[str]:
    """Ends when this process does, since then its input ends."""
    return subprocess.Popen(
        [str(python), str(SCRIPT)],
        env=os.environ | QUIET,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
