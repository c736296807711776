"""Which engines are installed, where, and at which version: looked at, never imported."""

from __future__ import annotations

import importlib.metadata
import sys
from dataclasses import dataclass
from pathlib import Path

from tricorn.hardware.probe import Findings, folders
from tricorn.installing.engine_installs import ENGINES
from tricorn.installing.environment_state import MARKER

GPU_LIBRARIES = {"cuda": "cuda", "metal": "metal", "hip": "rocm", "vulkan": "vulkan"}
"""The part `ggml-…` of a library's name → the device that it makes llama.cpp use."""


@dataclass(frozen=True)
class InstalledEngine:
    name: str
    package: str
    version: str
    environment: str
    """The folder of the environment."""
    gpu: str | None = None
    """llama.cpp: the device it was built for besides the CPU; None: the CPU only, or unknown."""


def probe(found: Findings, engines_dir: Path | None) -> None:
    """engines_dir: ENGINES_DIR; None leaves it unknown which engines there are."""
    if engines_dir is not None:
        engines = (*own_environments(engines_dir), *this_environment())
        found.note("engines", engines, "installed packages")


def own_environments(engines_dir: Path) -> list[InstalledEngine]:
    """Engines in the environments that Tricorn keeps for them; half-installed ones don't count."""
    engines = []
    for name, install in ENGINES.items():
        environment = engines_dir / install.folder
        if (environment / MARKER).exists():
            continue
        sites = folders(environment, "lib/python*/site-packages")
        sites += folders(environment, "Lib/site-packages")
        for site in sites:
            engine = _in_site(name, site, environment)
            if engine is not None:
                engines.append(engine)
                break
    return engines


def this_environment() -> list[InstalledEngine]:
    """Engines beside Tricorn itself, as `pip install tricorn[llamacpp]` puts them."""
    engines = []
    for name, install in ENGINES.items():
        for package in install.packages:
            try:
                distribution = importlib.metadata.distribution(package)
            except importlib.metadata.PackageNotFoundError:
                continue
            site = Path(str(distribution.locate_file("")))
            gpu = _gpu_of_llamacpp(site) if name == "llamacpp" else None
            engines.append(InstalledEngine(name, package, distribution.version, sys.prefix, gpu))
            break
    return engines


def _in_site(name: str, site: Path, environment: Path) -> InstalledEngine | None:
    for package in ENGINES[name].packages:
        stem = package.replace("-", "_")
        for record in folders(site, f"{stem}-*.dist-info"):
            version = record.name.removeprefix(f"{stem}-").removesuffix(".dist-info")
            gpu = _gpu_of_llamacpp(site) if name == "llamacpp" else None
            return InstalledEngine(name, package, version, str(environment), gpu)
    return None


def _gpu_of_llamacpp(site: Path) -> str | None:
    for part, device in GPU_LIBRARIES.items():
        if folders(site / "llama_cpp/lib", f"*ggml-{part}*"):
            return device
    return None
