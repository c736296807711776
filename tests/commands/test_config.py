"""`tricorn config check`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from tricorn import cli
from tricorn.settings.config import Settings


@pytest.fixture(autouse=True)
def _inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """In a folder of its own, without settings; logging is left as it was."""
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "no-cache"))
    (tmp_path / "models").mkdir()
    yield
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def check(capsys: pytest.CaptureFixture[str], *flags: str) -> tuple[int, str]:
    """(exit code, what it prints)."""
    code = cli.main(["config", "check", *flags])
    return code, capsys.readouterr().out


def write(text: str, name: str = "tricorn.yaml") -> None:
    Path(name).write_text(text)


def test_nothing_is_set(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The defaults can be used."""
    monkeypatch.delenv("HF_HUB_CACHE")
    monkeypatch.setenv("HF_CACHE", "")
    code, out = check(capsys)
    assert (code, out) == (0, "All settings are the defaults.\nThe settings can be used.\n")


def test_values_and_where_they_come_from(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of each setting that is not the default; of one that is given twice there is a warning."""
    write("server: {port: 8123}\nhf_token: geheim\n")
    write("MAX_WAITING=7\n", ".env")
    monkeypatch.setenv("PORT", "8124")
    code, out = check(capsys)
    assert code == 0
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert "port 8124 (PORT in the environment)" in lines
    assert "max_waiting 7 (.env)" in lines
    assert "hf_token ******** (tricorn.yaml)" in lines
    assert "Warning: port is given by environment, which counts, and by tricorn.yaml" in lines
    assert "geheim" not in out


def test_models_of_the_settings(capsys: pytest.CaptureFixture[str]) -> None:
    """What the catalog makes of each; one that cannot be served is an error."""
    write("models: {f: {engine: fake, aliases: [gpt]}, g: {path: none.gguf}}\n")
    code, out = check(capsys)
    assert code == 1
    assert "f, also called gpt\n    fake, served by fake: " in out
    assert "Error: models.g: there is no file " in out
    assert "The settings can be used." not in out


def test_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    """The same, for programs; nothing else is on stdout."""
    write("models: {f: {engine: fake, aliases: [x]}, g: {engine: fake, aliases: [x]}}\nport: 1\n")
    code, out = check(capsys, "--json")
    found = json.loads(out)
    assert (code, found["ok"], found["errors"]) == (0, True, [])
    assert {"name": "port", "value": 1, "source": "tricorn.yaml"} in found["settings"]
    assert [(one["name"], one["engine"], one["aliases"]) for one in found["models"]] == [
        ("f", "fake", ["x"]),
        ("g", "fake", []),
    ]
    assert "the alias x of g does not count: it is an alias of f already" in found["warnings"]


def test_settings_that_cannot_be_used(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 1, with every mistake; in JSON too."""
    write("prot: 1\n", "other.yaml")
    code, out = check(capsys, "--config", "other.yaml")
    assert code == 1
    assert "prot: no such setting; did you mean port?" in out
    code, out = check(capsys, "--config", "other.yaml", "--json")
    assert (code, json.loads(out)["ok"]) == (1, False)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("default_model: none\n", "Error: default_model: there is no model 'none'"),
        ("model_base_path: none\n", "Warning: model_base_path: there is no folder none"),
        ("allowed_model_paths: [nowhere]\n", "Warning: allowed_model_paths: there is no folder"),
        (
            "max_concurrent_models: 1\n"
            "models: {a: {engine: fake, pinned: true}, b: {engine: fake, preload: true}}\n",
            "Warning: 2 models are pinned or loaded at start (a, b), and max_concurrent_models",
        ),
        (
            "enable_caching: false\ncache_size: 3\nmodels: {a: {engine: fake}}\n",
            "Warning: cache_size does not count: enable_caching is false",
        ),
    ],
)
def test_what_contradicts_itself(capsys: pytest.CaptureFixture[str], text: str, said: str) -> None:
    """Told before a start would stumble on it, or do without it."""
    write(text)
    code, out = check(capsys)
    assert said in out
    assert code == (1 if said.startswith("Error") else 0)


def test_proxies_that_differ(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The environment can have both spellings."""
    monkeypatch.setenv("http_proxy", "http://a:1")
    monkeypatch.setenv("HTTP_PROXY", "http://b:1")
    assert "has http_proxy and HTTP_PROXY, and they differ" in check(capsys)[1]
