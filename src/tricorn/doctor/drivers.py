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
    could = fit.usable_gpus(facts, "llamacpp") and fit.build_of(facts, "llamacpp", "cpu")
    if could and llamacpp is not None:
        fix = f"CMAKE_ARGS=-DGGML_CUDA=on {place.command} engines install llamacpp --reinstall"
        yield Check("gpu", "warn", llamacpp.why, fix)
    elif facts.os == "windows" and llamacpp is None:
        yield Check("gpu", "ok", f"{named}: llama.cpp uses it where it was built with CUDA")
    elif vllm is not None and (vllm.absent or facts.os == "windows") and facts.apple_chip is None:
        yield Check("gpu", "ok", "none that an engine uses: the CPU is used")


def _mend_cuda(facts: Facts) -> str:
    if facts.jetson:
        return "serve GGUF models: llama.cpp can be built for this GPU; vLLM has no packages for it"
    if not facts.nvidia_gpus:
        return "sudo ubuntu-drivers install; a container: docker run --gpus all"
    if facts.cuda_visible_devices in ("", "-1"):
        return "unset CUDA_VISIBLE_DEVICES"
    if all(gpu.mig and not gpu.mig_instances for gpu in facts.nvidia_gpus):
        return "sudo nvidia-smi mig -cgi 0 -C (sudo nvidia-smi mig -lgip lists other profiles)"
    if not fit.usable_gpus(facts, "vllm"):
        where = "this GPU" if fit.usable_gpus(facts, "llamacpp") else "the CPU"
        return f"serve GGUF models: llama.cpp can use {where}, and vLLM runs on the CPU"
    if facts.cuda_version is not None and facts.cuda_version >= fit.VLLM_CUDA:
        return "serve GGUF models, or use a current Linux on x86-64 or arm64 with the GNU C library"
    if facts.wsl:
        return "install NVIDIA's current driver in Windows, not in here; then: wsl --shutdown"
    newer = f"sudo apt install nvidia-driver-{fit.VLLM_DRIVER}, then restart the machine"
    return f"outside of this container: {newer}" if facts.in_container else newer
