"""The machine itself: Python, compiler, memory, disk, limits of the system."""

from __future__ import annotations

import importlib.util
import platform
import shutil
import sys
from collections.abc import Iterator

import tricorn
from tricorn.doctor.check import Check
from tricorn.hardware.facts import Facts
from tricorn.installing import environment_state, installer, prerequisites
from tricorn.installing.engine_installs import ENGINES
from tricorn.installing.install_faults import COMPILER_FIX, VISUAL_STUDIO
from tricorn.place import Place

NEWEST_PYTHON = (3, 13)
"""The newest version that all pinned packages have ready wheels for."""
LEAST_MEMORY = 500_000_000
LITTLE_MEMORY = 2_000_000_000
LEAST_DISK = 500_000_000
LITTLE_DISK = 5_000_000_000
FEW_FILES = 1024
"""Every connection takes a few file descriptors."""


def python(place: Place, facts: Facts) -> Iterator[Check]:
    """Its version, and whether it can make virtual environments."""
    version = ".".join(map(str, sys.version_info[:3]))
    newest = ".".join(map(str, NEWEST_PYTHON))
    if sys.maxsize < 2**32:
        fix = "install a 64-bit Python and start run.py with it"
        yield Check("python", "fail", f"{version}, 32-bit: no engine runs on it", fix)
    elif sys.version_info[:2] > NEWEST_PYTHON:
        fix = f"python{newest} run.py"
        what = f"{version} is newer than {newest}, the newest that every engine has packages for"
        yield Check("python", "warn", what, fix)
    elif facts.apple_chip and platform.machine() == "x86_64":
        what = f"{version} is built for Intel and runs on this {facts.apple_chip} by emulation"
        fix = "install an arm64 Python (python.org has one) and start run.py with it"
        yield Check("python", "warn", what, fix)
    elif sys.prefix == sys.base_prefix and importlib.util.find_spec("ensurepip") is None:
        short = f"{sys.version_info[0]}.{sys.version_info[1]}"
        fix = f"sudo apt install python{short}-venv"
        yield Check("python", "fail", f"{version} cannot make virtual environments", fix)
    else:
        yield Check("python", "ok", f"{version} ({sys.executable})")


def compiler(place: Place, facts: Facts) -> Iterator[Check]:
    """llama.cpp is compiled on its first install; later none is needed."""
    if prerequisites.has_compiler():
        yield Check("compiler", "ok", "a C and a C++ compiler are there")
    elif installer.engine_python("llamacpp", place.engines_dir) is not None:
        yield Check("compiler", "ok", "none, and none is needed: llama.cpp is installed")
    else:
        what = "no C and C++ compiler was found, and llama.cpp is compiled on its first install"
        fix = {
            "linux": "sudo apt install build-essential (Fedora: sudo dnf install gcc-c++)",
            "darwin": "xcode-select --install",
            "win32": VISUAL_STUDIO,
        }.get(sys.platform, COMPILER_FIX)
        yield Check("compiler", "fail", what, fix)


def memory(place: Place, facts: Facts) -> Iterator[Check]:
    """What is free now, within a container's limit."""
    known = [size for size in (facts.memory_available, facts.memory_limit) if size is not None]
    if not known:
        fix = f"{place.start} --mode dev: what is installed with Tricorn can tell"
        yield Check("memory", "warn", "the free memory cannot be found out here", fix)
        return
    free = min(known)
    what = f"{_gigabytes(free)} free"
    if facts.memory_total is not None:
        what += f" of {_gigabytes(facts.memory_total)}"
    if facts.memory_limit is not None:
        what += f"; this container may use {_gigabytes(facts.memory_limit)}"
    if free >= LITTLE_MEMORY:
        yield Check("memory", "ok", what)
    else:
        fix = "end other programs, or choose a smaller model: --model NAME"
        yield Check("memory", "fail" if free < LEAST_MEMORY else "warn", what, fix)


def disk(place: Place, facts: Facts) -> Iterator[Check]:
    """Room for the engines that are not installed yet, and for models."""
    folders = {"engines": place.engines_dir, "models": place.models_dir, "logs": place.log_dir}
    seen: set[int] = set()
    for name, folder in folders.items():
        there = prerequisites.existing(folder)
        device = there.stat().st_dev
        if device in seen:
            continue
        seen.add(device)
        free = shutil.disk_usage(there).free
        needed = _still_needed(place) if name == "engines" else 0
        what = f"{_gigabytes(free)} free for {name} ({there})"
        fix = f"make room: du -sh {there}/* | sort -h"
        if free < max(LEAST_DISK, needed):
            wanted = f", and installing llama.cpp takes {_gigabytes(needed)}" if needed else ""
            yield Check("disk", "fail", what + wanted, fix)
        elif free < LITTLE_DISK:
            yield Check("disk", "warn", f"{what}, which is little for models", fix)
        else:
            yield Check("disk", "ok", what)


def _still_needed(place: Place) -> int:
    if installer.engine_python("llamacpp", place.engines_dir) is not None:
        return 0
    return ENGINES["llamacpp"].flavours[0].disk_bytes


def limits(place: Place, facts: Facts) -> Iterator[Check]:
    """What the system lets one process have: open files, address space."""
    if sys.platform == "win32":
        return
    import resource

    files, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY or files >= FEW_FILES:
        words = "without limit" if files == resource.RLIM_INFINITY else f"up to {files}"
        yield Check("open files", "ok", words)
    else:
        fix = "ulimit -n 4096, in the shell that starts Tricorn"
        if most != resource.RLIM_INFINITY and most < FEW_FILES:
            fix = "raise the limit of open files (nofile) in /etc/security/limits.conf to 4096"
        what = f"a process may open {files} files, which is few for many clients at once"
        yield Check("open files", "warn", what, fix)
    space, _ = resource.getrlimit(resource.RLIMIT_AS)
    if space != resource.RLIM_INFINITY:
        what = f"a process may have {_gigabytes(space)} of address space: engines map their models"
        fix = "ulimit -v unlimited, in the shell that starts Tricorn"
        yield Check("address space", "warn", what, fix)


def installation(place: Place, facts: Facts) -> Iterator[Check]:
    """Tricorn's own packages."""
    gateway = installer.gateway_environment(place.project)
    packaged = not gateway.requirements[0].exists()
    found = "whole" if packaged else environment_state.state(gateway)
    if found == "whole":
        where = sys.prefix if packaged else gateway.path
        yield Check("tricorn", "ok", f"{tricorn.__version__} is installed in {where}")
        return
    if found == "closed":
        yield Check("tricorn", "fail", *environment_state.closed(gateway))
        return
    what = {
        "absent": "not installed yet; the first start installs it, and compiles llama.cpp, which "
        "takes about ten minutes on two cores",
        "half": "its install was interrupted; the next start goes on with it",
    }.get(found, "its install is older than this source; the next start renews it")
    yield Check("tricorn", "warn", what, f"{place.start} --mode dev")


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:.1f} GB"
