"""uv gets what pip is configured with, and foreign packages stay out of both."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tricorn.installing import package_tools


def test_pip_settings_are_read_from_its_listing() -> None:
    """Sections have their rank, and lines that are no settings are passed over."""
    listing = (
        ":env:.find-links='/wheels'\n"
        "global.extra-index-url='https://a/simple\\nhttps://b/simple'\n"
        "global.index-url='https://global/simple'\n"
        "install.index-url='https://install/simple'\n"
        "download.index-url='https://download/simple'\n"
        "garbage\n"
    )
    assert package_tools.parse_pip_config(listing) == {
        "find-links": "/wheels",
        "extra-index-url": "https://a/simple\nhttps://b/simple",
        "index-url": "https://install/simple",
    }


def test_pip_settings_become_uv_variables() -> None:
    """The names and separators that uv reads; several indexes are weighed as pip weighs them."""
    given = {
        "index-url": "https://main/simple",
        "extra-index-url": "https://a/simple\nhttps://b/simple",
        "find-links": "/wheels https://c/links",
        "cert": "/ca.pem",
        "no-index": "true",
    }
    assert package_tools.uv_variables(given) == {
        "UV_DEFAULT_INDEX": "https://main/simple",
        "UV_INDEX": "https://a/simple https://b/simple",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "UV_FIND_LINKS": "/wheels,https://c/links",
        "SSL_CERT_FILE": "/ca.pem",
        "UV_NO_INDEX": "1",
    }
    assert package_tools.uv_variables({}) == {}


def test_uv_is_told_of_pip_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """PIP_* goes on to uv, and what the user told uv itself stays."""
    monkeypatch.setenv("PIP_INDEX_URL", "https://pip/simple")
    monkeypatch.setenv("PIP_FIND_LINKS", "/wheels")
    monkeypatch.setenv("UV_FIND_LINKS", "/uv-wheels")
    environment = package_tools.Uv("uv").environment()
    assert environment["UV_DEFAULT_INDEX"] == "https://pip/simple"
    assert environment["UV_FIND_LINKS"] == "/uv-wheels"


def test_uv_is_used_when_it_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """On PATH: uv; not: pip; and the user may insist on pip."""
    monkeypatch.delenv(package_tools.CHOICE, raising=False)
    monkeypatch.setattr(shutil, "which", lambda name: f"/bin/{name}")
    assert package_tools.choose().name == "uv"
    monkeypatch.setenv(package_tools.CHOICE, "pip")
    assert package_tools.choose().name == "pip"
    monkeypatch.delenv(package_tools.CHOICE)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert package_tools.choose().name == "pip"


def test_foreign_packages_stay_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """A PYTHONPATH of the user's would make installers believe packages to be there."""
    monkeypatch.setenv("PYTHONPATH", "/somewhere")
    monkeypatch.setenv("VIRTUAL_ENV", "/somewhere/else")
    environment = package_tools.clean_environment()
    assert "PYTHONPATH" not in environment
    assert "VIRTUAL_ENV" not in environment


def test_commands_name_the_environment() -> None:
    """Both tools install into the environment that they are told, never into their own."""
    python = Path("env/bin/python")
    pip = package_tools.Pip().install(python, ["-r", "a.txt"], verbose=True)
    uv = package_tools.Uv("uv").install(python, ["-r", "a.txt"], verbose=False)
    assert pip[0] == str(python)
    assert "--verbose" in pip
    assert uv[:5] == ["uv", "pip", "install", "--python", str(python)]


def test_a_further_index_comes_beside_the_configured_ones() -> None:
    """uv would take every package that it has from there alone."""
    assert package_tools.Pip().searching_also("https://x") == ["--extra-index-url", "https://x"]
    uv = package_tools.Uv("uv").searching_also("https://x")
    assert uv == ["--extra-index-url", "https://x", "--index-strategy", "unsafe-best-match"]
