"""Tests of `tricorn.access.secret`."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

from tricorn.access import secret


def test_keys_are_ours_and_differ() -> None:
    """256 random bits in base64url."""
    one, other = secret.new_key(), secret.new_key()
    assert one != other
    assert secret.is_ours(one)
    assert not secret.is_ours(one + "x")
    assert not secret.is_ours("sk-tricorn-short")
    assert secret.hint(one) == f"…{one[-4:]}"
    assert secret.hint("password1") == "…", "of one that people made up nothing is shown"


def test_digests_depend_on_the_secret() -> None:
    """The same key looks otherwise on another server."""
    assert secret.digest("k", b"a") == secret.digest("k", b"a")
    assert secret.digest("k", b"a") != secret.digest("k", b"b")
    assert len(secret.digest("k\udc80", b"a")) == 64, "whatever bytes a header had"


def test_the_secret_is_made_once(tmp_path: Path) -> None:
    """By many at the same time; only its owner reads it, and nothing else is left."""
    found: list[bytes] = []
    folder = tmp_path / "data"
    threads = [
        threading.Thread(target=lambda: found.append(secret.server_secret(folder)))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1
    assert os.listdir(folder) == ["secret"]
    if os.name == "posix":
        assert stat.S_IMODE((folder / "secret").stat().st_mode) == 0o600


def test_a_damaged_secret_is_no_secret(tmp_path: Path) -> None:
    """An empty file must not become one that everybody knows."""
    (tmp_path / "secret").write_text("")
    with pytest.raises(OSError, match="damaged"):
        secret.server_secret(tmp_path)


def test_the_admin_key(tmp_path: Path) -> None:
    """Where there is one."""
    assert secret.admin_key(tmp_path) is None
    secret.write_private(tmp_path / secret.ADMIN_KEY_FILE, "k\n")
    assert secret.admin_key(tmp_path) == "k"
    with pytest.raises(FileExistsError):
        secret.write_private(tmp_path / secret.ADMIN_KEY_FILE, "k\n")
