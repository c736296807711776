"""Which engine serves a model on this machine, and why: a pure function of the facts.

This version has llama.cpp (and the fake engine of the tests). Where the machine would suit vLLM or
MLX better, the reason says so instead of passing over it.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from tricorn.errors import StartupError
from tricorn.hardware.facts import Facts

ENGINES_OF_FORMAT: dict[str, tuple[str, ...]] = {"gguf": ("llamacpp",), "fake": ("fake",)}
"""Engines of this version that can read a format, best first."""

LATER_ENGINES = {"vllm": "vLLM", "mlx": "MLX"}
"""Engines by name that this version does not have yet."""

FORMAT_NAMES = {
    "gguf": "a GGUF file",
    "hf": "a Hugging Face folder",
    "mlx": "an MLX folder",
    "fake": "a fake model",
}


@dataclass(frozen=True)
class Choice:
    engine: str
    reason: str
    """One or two sentences for people."""
    alternatives: tuple[str, ...] = ()
    """Other engines that could serve the same model here."""


def choose_engine(
    facts: Facts, model_format: str, installed: Collection[str], preference: str = "auto"
) -> Choice:
    """The engine for a model of `model_format`.

    installed: engines whose environment is there; another one is chosen too, and the reason says
    that it has to be installed first.
    preference: `auto`, or the one engine that is wanted.

    StartupError says why a preference, or a format, cannot be served.
    """
    known = sorted({engine for engines in ENGINES_OF_FORMAT.values() for engine in engines})
    if preference != "auto" and preference not in known:
        raise StartupError(_unknown(preference, [name for name in known if name != "fake"]))
    candidates = ENGINES_OF_FORMAT.get(model_format, ())
    what = FORMAT_NAMES.get(model_format, f"a model of the format {model_format!r}")
    if not candidates:
        raise StartupError(f"{what} cannot be served: no engine of this version reads it")
    if preference != "auto" and preference not in candidates:
        raise StartupError(
            f"the engine {preference} cannot serve {what}; {' or '.join(candidates)} can"
        )
    ready = [engine for engine in candidates if engine in installed]
    engine = preference if preference != "auto" else (ready or list(candidates))[0]
    reason = _reason(facts, engine, asked=preference != "auto")
    if engine not in installed and engine != "fake":
        reason += " It is not installed yet."
    return Choice(engine, reason, tuple(other for other in candidates if other != engine))


def _unknown(preference: str, known: list[str]) -> str:
    if preference in LATER_ENGINES:
        return (
            f"the engine {preference} was asked for, but this version of Tricorn does not have "
            f"{LATER_ENGINES[preference]} yet; it has {', '.join(known)}"
        )
    return f"there is no engine named {preference!r}; this version has {', '.join(known)}"


def _reason(facts: Facts, engine: str, *, asked: bool) -> str:
    if engine == "fake":
        return "the fake engine: it was asked for, and it needs no model and no hardware."
    because = "it was asked for" if asked else "it reads GGUF files and runs on any CPU"
    reason = f"llama.cpp: {because}."
    if facts.nvidia_gpus:
        gpu = facts.nvidia_gpus[0].name
        more = f" and {len(facts.nvidia_gpus) - 1} more" if len(facts.nvidia_gpus) > 1 else ""
        reason += (
            f" This machine has {gpu}{more}, for which vLLM is meant, but this version does not"
            " have vLLM yet; llama.cpp uses the GPU only if it was built with CUDA."
        )
    elif facts.apple_chip:
        reason += (
            f" This machine has an {facts.apple_chip}, for which MLX is meant, but this version"
            " does not have MLX yet; llama.cpp runs on it by Metal if it was built with it."
        )
    elif facts.nvidia_gpus is None:
        reason += " No GPU driver was found."
    else:
        reason += " No GPU was found."
    return reason
