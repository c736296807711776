"""Certificates for tests, made by the openssl command."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

OPENSSL = shutil.which("openssl")
needs_openssl = pytest.mark.skipif(
    OPENSSL is None, reason="the command openssl, which makes the certificates, is missing"
)


def make(folder: Path, name: str) -> tuple[Path, Path]:
    """A certificate that nobody else has signed, made out to `name`, and its key."""
    certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
         "-nodes", "-days", "2", "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}",
         "-out", str(certificate), "-keyout", str(key)],
        check=True,
        capture_output=True,
    )  # fmt: skip
    return certificate, key


def lock(key: Path, locked: Path) -> None:
    """Write the key under a password."""
    subprocess.run(
        ["openssl", "pkey", "-in", str(key), "-aes256", "-passout", "pass:secret", "-out",
         str(locked)],
        check=True,
        capture_output=True,
    )  # fmt: skip
