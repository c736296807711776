"""GPUs: whether their drivers, and the GPUs themselves, suit the engines' ready packages."""

from __future__ import annotations

from collections.abc import Iterator

from tricorn.doctor.check import Check
from tricorn.hardware import fit
from tricorn.hardware.facts import Facts
from tricorn.hardware.fit import ModelTraits, Option
from tricorn.place import Place

VLLM_ON_CUDA = (ModelTraits("hf"), Option("vllm", "cuda"))
LLAMACPP_ON_CUDA = (ModelTraits("gguf"), Option("llamacpp", "cuda"))
MLX_ON_METAL = (ModelTraits("hf"), Option("mlx", "metal"))


def drivers(place: Place, facts: Facts) -> Iterator[Check]:
    """A row for each kind of GPU that is there."""
    vllm, metal = fit.misfit(facts, *VLLM_ON_CUDA), fit.misfit(facts, *MLX_ON_METAL)
    named = ", ".join(gpu.name for gpu in facts.nvidia_gpus or ())
    if vllm is None:
        driver = facts.nvidia_driver or "unknown"
        yield Check("gpu", "ok", f"{named}: the driver ({driver}) suits vLLM's packages")
    elif not vllm.absent and facts.os == "linux":
        yield Check("gpu", "warn", vllm.why, _mend_cuda(facts))
    if facts.apple_chip is not None:
        if metal is None:
            yield Check("gpu", "ok", f"{facts.apple_chip}: MLX and llama.cpp use its GPU")
        else:
            fix = "use a current macOS and an arm64 Python; until then the CPU is used"
            yield Check("gpu", "warn", metal.why, fix)
    llamacpp = fit.misfit(facts, *LLAMACPP_ON_CUDA)
    if facts.nvidia_gpus and fit.build_of(facts, "llamacpp", "cpu") and llamacpp is not None:
        fix = f"CMAKE_ARGS=-DGGML_CUDA=on {place.command} engines install llamacpp --reinstall"
        yield Check("gpu", "warn", llamacpp.why, fix)
    if vllm is not None and vllm.absent and facts.apple_chip is None:
        yield Check("gpu", "ok", "none that an engine uses: the CPU is used")


def _mend_cuda(facts: Facts) -> str:
    if not facts.nvidia_gpus:
        return "sudo ubuntu-drivers install; a container: docker run --gpus all"
    if facts.cuda_visible_devices in ("", "-1"):
        return "unset CUDA_VISIBLE_DEVICES"
    if facts.cuda_version is not None and facts.cuda_version < fit.VLLM_CUDA:
        return f"sudo apt install nvidia-driver-{fit.VLLM_DRIVER}, then restart the machine"
    if not fit.usable_gpus(facts, "vllm"):
        return "serve GGUF models: llama.cpp can use this GPU, and vLLM runs on the CPU"
    return "nvidia-smi tells more"
