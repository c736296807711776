"""GPUs, their drivers and the engines' packages."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tricorn.doctor import drivers
from tricorn.hardware.engines import InstalledEngine
from tricorn.hardware.facts import Facts, NvidiaGpu
from tricorn.hardware.other_gpus import OtherGpu
from tricorn.place import Place

CPU = Facts(os="linux", arch="x86_64")
H100 = replace(
    CPU,
    nvidia_gpus=(NvidiaGpu("NVIDIA H100", compute_capability=(9, 0)),),
    nvidia_driver="580.65.06",
    cuda_version=(13, 0),
)
K80 = replace(H100, nvidia_gpus=(NvidiaGpu("Tesla K80", compute_capability=(3, 7)),))
V100 = replace(H100, nvidia_gpus=(NvidiaGpu("Tesla V100", compute_capability=(7, 0)),))
DIVIDED = replace(H100, nvidia_gpus=(NvidiaGpu("NVIDIA H100", mig=True),))
OLD_DRIVER = replace(H100, cuda_version=(12, 4))
OLD_BY_NUMBER = replace(H100, nvidia_driver="570.86.15", cuda_version=None)
ORIN = replace(CPU, arch="arm64", board="NVIDIA Jetson AGX Orin")
M3 = Facts(os="darwin", arch="arm64", os_version="15.1", apple_chip="Apple M3")


@pytest.mark.parametrize(
    ("facts", "state", "words", "fix"),
    [
        (CPU, "ok", "the CPU is used", ""),
        (H100, "ok", "NVIDIA H100: the driver (580.65.06) suits", ""),
        (OLD_DRIVER, "warn", "update", "sudo apt install nvidia-driver-580"),
        (OLD_BY_NUMBER, "warn", "older than 580", "sudo apt install nvidia-driver-580"),
        (replace(OLD_DRIVER, wsl=True), "warn", "update", "driver in Windows, not in here"),
        (replace(OLD_DRIVER, in_container=True), "warn", "update", "outside of this container: "),
        (replace(H100, libc=("glibc", (2, 17))), "warn", "C library", "a current Linux"),
        (DIVIDED, "warn", "no instance", "sudo nvidia-smi mig -cgi"),
        (ORIN, "warn", "no packages", "serve GGUF models"),
        (replace(H100, cuda_visible_devices="-1"), "warn", "hides", "unset CUDA_VISIBLE_DEVICES"),
        (V100, "warn", "too old", "llama.cpp can use this GPU"),
        (replace(K80, cuda_version=(11, 4)), "warn", "too old", "llama.cpp can use the CPU"),
        (
            replace(CPU, other_gpus=(OtherGpu("NVIDIA", "an NVIDIA GPU"),)),
            "warn",
            "driver",
            "--gpus all",
        ),
        (replace(H100, os="windows"), "ok", "NVIDIA H100: llama.cpp uses it", ""),
        (replace(CPU, os="windows"), "ok", "the CPU is used", ""),
        (M3, "ok", "Apple M3: MLX and llama.cpp use its GPU", ""),
        (replace(M3, os_version="13.0"), "warn", "macOS 14", "current macOS"),
    ],
)
def test_each_kind_of_machine(place: Place, facts: Facts, state: str, words: str, fix: str) -> None:
    """One row, with what mends it."""
    (check,) = drivers.drivers(place, facts)
    assert (check.state, words in check.what) == (state, True), check.what
    assert fix in check.fix
    assert bool(check.fix) == (state != "ok")


def test_llamacpp_without_cuda_is_a_row_of_its_own(place: Place) -> None:
    """It works, on the CPU."""
    built = InstalledEngine("llamacpp", "llama-cpp-python", "0.3.36", "env")
    vllm, llamacpp = drivers.drivers(place, replace(H100, engines=(built,)))
    assert (vllm.state, llamacpp.state) == ("ok", "warn")
    assert llamacpp.fix.startswith("CMAKE_ARGS=-DGGML_CUDA=on python3 run.py engines install")
    for useless in (K80, replace(H100, cuda_visible_devices="")):
        (alone,) = drivers.drivers(place, replace(useless, engines=(built,)))
        assert "CMAKE_ARGS" not in alone.fix, "another build would help nothing"
    on_gpu = replace(built, gpu="cuda")
    assert len(list(drivers.drivers(place, replace(H100, engines=(on_gpu,))))) == 1
