"""Keys as they are handed out, and as they are kept: an HMAC by a secret of this server's.

Whoever reads the store without the secret can try no keys against it.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import re
import secrets
from pathlib import Path

PREFIX = "sk-tricorn-"
SECRET_FILE = "secret"
ADMIN_KEY_FILE = "admin-key"
"""In DATA_DIR: the key that was made at the first start, for commands on this machine."""
BYTES = 32
_SECRET = re.compile(f"[0-9a-f]{{{2 * BYTES}}}")
_OURS = re.compile(re.escape(PREFIX) + r"[A-Za-z0-9_-]{43}")


def new_key() -> str:
    """256 random bits."""
    return PREFIX + secrets.token_urlsafe(BYTES)


def is_ours(key: str) -> bool:
    """Whether it has the form of those that are made here: nobody guesses one of these."""
    return _OURS.fullmatch(key) is not None


def hint(key: str) -> str:
    """By what people tell it from others."""
    return f"…{key[-4:]}" if is_ours(key) else "…"


def digest(key: str, secret: bytes) -> str:
    """What is kept of a key."""
    return hmac.new(secret, key.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()


def server_secret(folder: Path) -> bytes:
    """Of the server whose data is in `folder`; made when it is first asked for. OSError.

    Without it no key is known any more: it belongs into a backup beside keys.db.
    """
    path = folder / SECRET_FILE
    with contextlib.suppress(FileNotFoundError):
        return _read(path)
    folder.mkdir(parents=True, exist_ok=True)
    draft = folder / f".{SECRET_FILE}.{os.getpid()}.{secrets.token_hex(4)}"
    write_private(draft, secrets.token_hex(BYTES) + "\n")
    try:
        with contextlib.suppress(FileExistsError):  # another process was faster
            os.link(draft, path)
    finally:
        draft.unlink()
    return _read(path)


def admin_key(folder: Path) -> str | None:
    """The key that was made at the first start, where this user may read it."""
    try:
        return (folder / ADMIN_KEY_FILE).read_text("utf-8").strip() or None
    except OSError:
        return None


def write_private(path: Path, text: str) -> None:
    """A new file that only its owner may read. FileExistsError."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)


def _read(path: Path) -> bytes:
    text = path.read_text("utf-8", errors="replace").strip()
    if not _SECRET.fullmatch(text):
        raise OSError(f"{path} is damaged: put the one of a backup in its place")
    return text.encode()
