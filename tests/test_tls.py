"""Tests of `tricorn.tls`."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from tests.gateway.certificates import lock, make, needs_openssl

from tricorn import cli, tls
from tricorn.errors import StartupError
from tricorn.settings.config import Settings

pytestmark = needs_openssl


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """one.pem, one.key, two.pem, two.key, and files that are of no use."""
    made = tmp_path_factory.mktemp("tls")
    for name in ("one", "two"):
        make(made, name)
    lock(made / "one.key", made / "locked.key")
    (made / "both.pem").write_text((made / "one.pem").read_text() + (made / "one.key").read_text())
    (made / "text").write_text("no certificate")
    (made / "broken.pem").write_text(
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    )
    return made


def shakes_hands(server: ssl.SSLContext, client: ssl.SSLContext) -> bool:
    """Without a network."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.wrap_bio(to_client, to_server, server_hostname="127.0.0.1"),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    for _ in range(4):
        for end in ends:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLError:
                return False
    return True


@pytest.mark.parametrize(("certificate", "key"), [("one.pem", "one.key"), ("both.pem", None)])
def test_a_good_pair(folder: Path, certificate: str, key: str | None) -> None:
    """In two files or in one; the commands on this machine trust it, whatever its name."""
    server = tls.server_context(folder / certificate, key and folder / key)
    assert server.minimum_version >= ssl.TLSVersion.TLSv1_2
    assert shakes_hands(server, tls.own_client_context(folder / certificate))


def test_another_one_is_not_trusted(folder: Path) -> None:
    server = tls.server_context(folder / "two.pem", folder / "two.key")
    assert not shakes_hands(server, tls.own_client_context(folder / "one.pem"))


@pytest.mark.parametrize(
    ("certificate", "key", "words"),
    [
        ("nowhere.pem", "one.key", "TLS_CERT: .*nowhere.pem cannot be read: No such file"),
        ("one.pem", "nowhere.key", "TLS_KEY: .*nowhere.key cannot be read: No such file"),
        ("text", "one.key", "TLS_CERT: .*text holds no certificate"),
        ("one.pem", "text", "TLS_KEY: .*text holds no private key"),
        ("one.pem", None, "TLS_CERT: .*holds no private key.*TLS_KEY"),
        ("one.pem", "two.key", "TLS_KEY: .*two.key is not the key of the certificate"),
        ("one.pem", "locked.key", "TLS_KEY: .*locked.key is locked by a password"),
        ("broken.pem", "one.key", "TLS_CERT: .*broken.pem cannot be used"),
    ],
)
def test_what_cannot_be_used(folder: Path, certificate: str, key: str | None, words: str) -> None:
    """One sentence that names the setting."""
    settings = Settings(tls_cert=folder / certificate, tls_key=key and folder / key)
    with pytest.raises(StartupError, match=words) as caught:
        tls.check(settings)
    assert "\n" not in caught.value.message


def test_a_key_without_a_certificate() -> None:
    with pytest.raises(ValueError, match="tls_key: there is no tls_cert"):
        Settings(tls_key=Path("key.pem"))


def test_a_start_is_refused(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Before anything else is done."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TLS_CERT", str(folder / "one.pem"))
    monkeypatch.setenv("TLS_KEY", str(folder / "two.key"))
    assert cli.main(["serve", "--port", "18999"]) == 1
    assert "TLS_KEY: " in capsys.readouterr().err
