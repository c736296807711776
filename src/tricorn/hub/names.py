"""How people name what they want from a hub.

    ORG/NAME              the repository; of a GGUF one, the quantisation that suits most
    ORG/NAME:Q4_K_M       that quantisation
    ORG/NAME:file.gguf    that file, with all its parts
    ORG/NAME@REVISION     a branch, tag or commit; also before a colon: ORG/NAME@REVISION:Q4_K_M
    hf.co/ORG/NAME:Q4_K_M, https://huggingface.co/ORG/NAME, …/tree/REVISION, …/blob/REVISION/FILE

Everything else is refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from tricorn.errors import InvalidRequest

MAX_LENGTH = 500
SITES = ("huggingface.co", "www.huggingface.co", "hf.co")

_PART = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9_])?")
"""An organisation or a repository, as the hub allows them; `..` and `--` are excluded besides."""
_REVISION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/+-]*")
_WHICH = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/+()@,=-]*")
_PAGE = re.compile(r"(?P<repo>[^/]+/[^/]+)/(?P<view>tree|blob|resolve)/(?P<rest>.+)")
_WHOLE = re.compile(r"(?P<repo>[^@:]+)(?:@(?P<revision>[^:]+))?(?::(?P<which>.+))?")


@dataclass(frozen=True)
class Wanted:
    repo: str
    """ORG/NAME."""
    which: str | None = None
    """A quantisation or a .gguf file of the repository; None: whatever suits."""
    revision: str | None = None
    """None: the repository's main branch."""

    def __str__(self) -> str:
        """The one way to write it, whichever way it was written."""
        revision = f"@{self.revision}" if self.revision else ""
        return f"{self.repo}{revision}" + (f":{self.which}" if self.which else "")


def parse(text: str, *, param: str | None = None) -> Wanted:
    """What a name means. InvalidRequest, naming `param`, where it means nothing or is not safe."""
    name = text.strip()
    if not name or len(name) > MAX_LENGTH or not name.isascii() or not name.isprintable():
        raise _refused(text, param)
    name, is_address = _without_site(name)
    page = _PAGE.fullmatch(name) if is_address else None
    if page is not None:
        # In an address the revision ends at the first slash; a branch with one is given by @.
        revision, _, file = page["rest"].partition("/")
        parts: tuple[str, str | None, str | None] = (page["repo"], revision, file or None)
    else:
        whole = _WHOLE.fullmatch(name)
        if whole is None:
            raise _refused(text, param)
        parts = (whole["repo"], whole["revision"], whole["which"])
    repo, revision, which = parts
    if which is not None and which.lower() == "latest":  # Ollama's word for no tag
        which = None
    safe = (
        _is_repo(repo)
        and (revision is None or _is_path(_REVISION, revision))
        and (which is None or _is_path(_WHICH, which))
    )
    if not safe:
        raise _refused(text, param)
    return Wanted(repo, which, None if revision == "main" else revision)


def _without_site(name: str) -> tuple[str, bool]:
    """The name without the hub's address before it, and whether one was there."""
    bare = re.sub(r"^https?://", "", name, flags=re.IGNORECASE)
    site, slash, rest = bare.partition("/")
    if slash and site.lower() in SITES:
        return rest.rstrip("/"), True
    return name, False


def _is_repo(repo: str) -> bool:
    parts = repo.split("/")
    return len(parts) == 2 and all(
        _PART.fullmatch(part) and ".." not in part and "--" not in part for part in parts
    )


def _is_path(allowed: re.Pattern[str], text: str) -> bool:
    parts = text.split("/")
    return allowed.fullmatch(text) is not None and not any(
        part in ("", ".", "..") for part in parts
    )


def _refused(text: str, param: str | None) -> InvalidRequest:
    shown = ascii(text if len(text) <= 100 else text[:100] + "…")
    return InvalidRequest(
        f"{shown} is no model of the hub: write ORG/NAME, ORG/NAME:QUANT (for example "
        "Qwen/Qwen3-4B-GGUF:Q4_K_M), ORG/NAME:FILE.gguf or ORG/NAME@REVISION",
        param=param,
    )
