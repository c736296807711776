"""The sentences that say why an engine was chosen: people read them at start and in the list."""

from __future__ import annotations

from collections.abc import Sequence

from tricorn.hardware.facts import Facts
from tricorn.hardware.fit import Misfit, ModelTraits, Option, build_of, cuda_memory, usable_gpus

TITLES = {"llamacpp": "llama.cpp", "vllm": "vLLM", "mlx": "MLX", "fake": "the fake engine"}

FORMAT_NAMES = {
    "gguf": "a GGUF file",
    "hf": "a Hugging Face folder",
    "mlx": "an MLX folder",
    "fake": "a fake model",
}


def describe(model: ModelTraits) -> str:
    """The model in words, without its name."""
    what = FORMAT_NAMES.get(model.format, f"a model of the format {model.format!r}")
    if model.quantisation and model.format == "hf":
        what += f" quantised by {model.quantisation.upper()}"
    return what


def reasons_for(
    facts: Facts,
    model: ModelTraits,
    chosen: Option,
    *,
    asked: bool,
    device_asked: bool,
    passed_over: Sequence[Misfit],
    not_installed: str | None = None,
) -> tuple[str, ...]:
    """Why this option, what stands against better ones, and what to expect.

    asked: the engine was asked for; device_asked: the device was.
    passed_over: what stands against the options that would have been better.
    not_installed: a better engine that was passed over because this one is installed.
    """
    if chosen.engine == "fake":
        return ("the fake engine: it was asked for, and it needs no model and no hardware.",)
    sentences = [_because(facts, model, chosen, asked=asked)]
    if device_asked:
        sentences.append(f"DEVICE_TYPE asks for {chosen.device}.")
    sentences += dict.fromkeys(
        _sentence(against.why) for against in passed_over if not against.absent
    )
    if chosen.device == "cpu" and not device_asked:
        sentences += _gpus_that_are_not_used(facts, said=len(sentences) > 1)
    sentences += _speed(chosen)
    if not_installed is not None:
        sentences.append(f"{TITLES[not_installed]} would suit it better, but is not installed.")
    if chosen.device == "cuda" and any(gpu.mig for gpu in usable_gpus(facts, chosen.engine)):
        sentences.append("The GPU is divided (MIG): one instance is used.")
    sentences += _size(facts, model, chosen)
    if facts.engines is not None and not _is_installed(facts, chosen):
        sentences.append("It is not installed yet.")
    return tuple(sentences)


def _sentence(clause: str) -> str:
    """A clause as a sentence; product names keep their small letter."""
    known = ("vLLM", "llama.cpp")
    return (clause if clause.startswith(known) else clause[0].upper() + clause[1:]) + "."


def _because(facts: Facts, model: ModelTraits, chosen: Option, *, asked: bool) -> str:
    title = TITLES[chosen.engine]
    if asked:
        return f"{title}: it was asked for."
    if chosen.engine == "llamacpp":
        where = {
            "cuda": f"puts the layers on {_gpu_names(facts, chosen.engine)}",
            "metal": f"runs on the {facts.apple_chip} by Metal",
            "cpu": "runs on any CPU",
        }[chosen.device]
        return f"{title}: it reads GGUF files and {where}{_if_built(facts, chosen)}."
    if chosen.device == "cuda":
        gpus = _gpu_names(facts, chosen.engine)
        return f"{title}: it serves Hugging Face folders fastest on NVIDIA GPUs, here {gpus}."
    if chosen.device == "metal":
        return f"{title}: it is made for Apple silicon, and this is an {facts.apple_chip}."
    return f"{title} on the CPU: it reads {FORMAT_NAMES[model.format].partition(' ')[2]}s."


def _if_built(facts: Facts, chosen: Option) -> str:
    known = chosen.device != "cuda" or build_of(facts, "llamacpp", "cuda")
    return "" if known else ", if it was built with CUDA"


def _gpu_names(facts: Facts, engine: str) -> str:
    gpus = usable_gpus(facts, engine)
    if not gpus:
        return f"the GPU of {facts.jetson}"
    more = f" and {len(gpus) - 1} more" if len(gpus) > 1 else ""
    return gpus[0].name + more


def _gpus_that_are_not_used(facts: Facts, *, said: bool) -> list[str]:
    """said: the reasons have already told of a GPU."""
    others = [gpu.title for gpu in facts.other_gpus or () if gpu.vendor != "NVIDIA"]
    if others:
        return [f"{' and '.join(others)}: seen, but no engine of this version uses it."]
    if said or facts.os == "darwin" or facts.apple_chip:
        return []
    return ["No GPU driver was found." if facts.nvidia_gpus is None else "No GPU was found."]


def _speed(chosen: Option) -> list[str]:
    if chosen.engine == "vllm" and chosen.device == "cpu":
        return ["On a CPU it is slower than a GGUF file of the same model on llama.cpp."]
    if chosen.engine == "mlx" and chosen.device == "cpu":
        return ["Without Apple silicon it is very slow: a GGUF file on llama.cpp is far faster."]
    return []


def _size(facts: Facts, model: ModelTraits, chosen: Option) -> list[str]:
    """What to expect of a model that is larger than the memory."""
    if chosen.device == "cuda":
        room, where = cuda_memory(facts, chosen.engine), "GPU memory"
    elif chosen.device == "metal":
        room, where = facts.apple_working_set, "memory that the GPU may use"
    else:
        room, where = facts.usable_memory, "memory"
    if room is None or model.size_bytes is None or model.size_bytes <= room:
        return []
    sizes = f"{model.size_bytes / 2**30:.1f} GiB of weights and {room / 2**30:.1f} GiB of {where}"
    if chosen == Option("llamacpp", "cuda"):
        return [f"There are {sizes}: the rest stays in main memory, which is slower."]
    return [f"There are {sizes}: it is not likely to load; choose a smaller model."]


def _is_installed(facts: Facts, chosen: Option) -> bool:
    # llama.cpp without CUDA would not have been chosen for CUDA; Metal is built in on a Mac.
    device = "cpu" if chosen.engine == "llamacpp" else chosen.device
    return bool(build_of(facts, chosen.engine, device))
