"""Why an install failed, in one sentence with the fix; read from what pip, uv or venv printed.

Those tools give no codes, so their words are all there is. Pure; standard library only.
"""

from __future__ import annotations

import errno
import re
import sys


class InstallError(Exception):
    """Something cannot be installed; the text is a sentence for the user, with the fix."""


UNKNOWN = "the installer failed for a reason not known to Tricorn"
_OWNER_FIX = "run Tricorn as the user who owns its folder"

VISUAL_STUDIO = (
    "winget install Microsoft.VisualStudio.2022.BuildTools --override "
    '"--wait --passive --add Microsoft.VisualStudio.Workload.VCTools --includeRecommended"'
)
COMPILER_FIX = (
    "install one (Debian, Ubuntu: sudo apt install build-essential; Fedora: sudo dnf install "
    f"gcc-c++; macOS: xcode-select --install; Windows: {VISUAL_STUDIO}) "
    "and run the same command again"
)

# First match wins: a full disk also breaks compiles, and a missing network also ends in
# "no matching distribution".
_SIGNS: tuple[tuple[str, str], ...] = (
    (
        r"No space left on device|Errno 28\b|os error 28\b|not enough space on the disk",
        "the disk is full: make room on it (the folder for temporary files counts too) "
        "and run the same command again",
    ),
    (
        r"ensurepip is not available|No module named '?ensurepip|python3[.\d]*-venv",
        "this Python cannot make virtual environments: sudo apt install "
        "python{major}.{minor}-venv (or python3-venv), then run the same command again",
    ),
    (
        r"CERTIFICATE_VERIFY_FAILED|SSLError|SSLCertVerification|invalid peer certificate",
        "the package index's certificate is not trusted here: behind a company proxy, point "
        "PIP_CERT at its certificate file and run the same command again",
    ),
    (
        r"Temporary failure in name resolution|Name or service not known|NameResolutionError"
        r"|nodename nor servname|getaddrinfo failed|NewConnectionError"
        r"|Failed to establish a new connection|Network is unreachable|ConnectTimeoutError"
        r"|Connection refused|Read timed out|ReadTimeoutError|ConnectionResetError|ProxyError"
        r"|dns error|error sending request|tcp connect error|Could not connect"
        r"|operation timed out|network connectivity is disabled|Network connectivity",
        "the package index cannot be reached: check the network (or the proxy: HTTPS_PROXY; an "
        "own index: PIP_INDEX_URL) and run the same command again; what is already "
        "downloaded is kept",
    ),
    (
        r"Killed signal terminated program|virtual memory exhausted|Cannot allocate memory"
        r"|out of memory allocating",
        "the compiler ran out of memory: set CMAKE_BUILD_PARALLEL_LEVEL=1 and run the same "
        "command again",
    ),
    (
        r"CMAKE_C(XX)?_COMPILER|No CMAKE_C|C(XX)? compiler .{0,40}(not found|not able|cannot)"
        r"|command '?(cc|gcc|g\+\+|clang)'? failed: No such file"
        r"|Microsoft Visual C\+\+ .{0,20}is required",
        "no working C compiler was found: " + COMPILER_FIX,
    ),
    (
        r"Permission denied|PermissionError|Errno 13\b|os error 13\b",
        f"a file may not be written: {_OWNER_FIX}",
    ),
    (
        r"No module named '?pip\b",
        "the environment was made by hand and has no pip: delete its folder, or install uv, and "
        "run the same command again",
    ),
    (
        r"externally-managed-environment|externally managed",
        "this environment is managed by the system: delete the folder and run the same command "
        "again, a fresh virtual environment is then made",
    ),
    (
        r"requires a different Python|Requires-Python|requires-python",
        "a package does not run on this Python ({major}.{minor}): use Python 3.11, 3.12 or 3.13",
    ),
    (
        r"No matching distribution found|No solution found|not found in the package registry",
        "a pinned package is not in the package index for this machine: check PIP_INDEX_URL and "
        "whether Python {major}.{minor} on {platform} is supported",
    ),
    (
        r"Failed building wheel|Failed to build|CMake Error|ninja: build stopped",
        "a package did not compile",
    ),
)


def explain(output: str) -> str:
    """One sentence for `output`, the last lines of a failed install; says so if it is unknown."""
    for pattern, sentence in _SIGNS:
        if re.search(pattern, output):
            return sentence.format(
                major=sys.version_info[0], minor=sys.version_info[1], platform=sys.platform
            )
    return UNKNOWN


def disk_is_full() -> str:
    """One sentence, with the fix."""
    return explain("No space left on device")


def of_files(error: OSError) -> str:
    """One sentence for what the system refused where files are made or removed."""
    if error.errno == errno.ENOSPC:
        return disk_is_full()
    return f"{error}: {_OWNER_FIX}" if isinstance(error, PermissionError) else str(error)


def lacks_package(output: str) -> bool:
    """Whether the package indexes that were searched do not have one of the wanted versions."""
    signs = r"No matching distribution found|No solution found|not found in the package registry"
    return re.search(signs, output) is not None


def lacks_ready_wheel(output: str) -> bool:
    """Whether there was no prebuilt package, which is all that can be used without a compiler."""
    signs = r"No matching distribution|No solution found|no usable wheels|only-binary"
    return re.search(signs, output) is not None
