"""The gateway's certificate (TLS_CERT, TLS_KEY): whether it can be used, and what trusts it."""

from __future__ import annotations

import re
import ssl
from pathlib import Path

from tricorn.errors import StartupError
from tricorn.settings.config import Settings

_CERTIFICATE = re.compile(
    "-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL | re.ASCII
)
_KEY = "PRIVATE KEY-----"


class _Locked(Exception):
    """A password would be asked for, at a terminal that may not be there."""


def check(settings: Settings) -> None:
    """StartupError where there is a certificate that cannot be used."""
    if settings.tls_cert is not None:
        server_context(settings.tls_cert, settings.tls_key)


def server_context(certificate: Path, key: Path | None) -> ssl.SSLContext:
    """key: None where it is in the certificate's file. StartupError names the setting at fault."""
    if _CERTIFICATE.search(_text("TLS_CERT", certificate)) is None:
        raise StartupError(f"TLS_CERT: {certificate} holds no certificate in PEM")
    of_key = "TLS_CERT" if key is None else "TLS_KEY"
    if _KEY not in _text(of_key, key or certificate):
        hint = "; TLS_KEY names the file that does" if key is None else ""
        raise StartupError(f"{of_key}: {key or certificate} holds no private key in PEM{hint}")
    # From TLS 1.2 on, by Python's own default.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(certificate, key, password=_no_password)
    except _Locked:
        raise StartupError(
            f"{of_key}: {key or certificate} is locked by a password; Tricorn needs it without"
        ) from None
    except ssl.SSLError as error:
        if "KEY_VALUES_MISMATCH" in (error.reason or ""):
            raise StartupError(
                f"TLS_KEY: {key or certificate} is not the key of the certificate in {certificate}"
            ) from error
        why = error.reason or str(error)
        raise StartupError(f"TLS_CERT: {certificate} cannot be used with its key: {why}") from error
    except OSError as error:
        raise StartupError(f"TLS_CERT: {certificate} cannot be read: {error.strerror}") from error
    return context


def own_client_context(certificate: Path) -> ssl.SSLContext:
    """For a client on the server's own machine: it trusts the very certificate that the server has,
    whoever signed it and whatever names it is made out to, and no other. StartupError."""
    found = _CERTIFICATE.search(_text("TLS_CERT", certificate))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    try:
        # The first one is the server's own, those that follow are of who signed it.
        context.load_verify_locations(cadata=found.group() if found else "")
    except (ssl.SSLError, ValueError) as error:
        raise StartupError(f"TLS_CERT: {certificate} holds no certificate in PEM") from error
    return context


def _no_password() -> str:
    raise _Locked


def _text(setting: str, path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError as error:
        raise StartupError(f"{setting}: {path} cannot be read: {error.strerror}") from error
