"""Tests of `tricorn.manager.lifecycle.announcement`."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
from tests.manager.harness import settings_for

from tricorn.hardware.facts import Facts
from tricorn.manager.lifecycle.announcement import announcement, base_url, curl_line
from tricorn.manager.protocol.model_info import ModelInfo

READY = ModelInfo("m.Q4_1", 0, "llamacpp", "llama.cpp: because.", "gguf", 1, "READY", 2048)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", "http://127.0.0.1:8000"),
        ("0.0.0.0", "http://localhost:8000"),
        ("::", "http://localhost:8000"),
        ("::1", "http://[::1]:8000"),
        ("box.lan", "http://box.lan:8000"),
    ],
)
def test_base_url(tmp_path: Path, host: str, expected: str) -> None:
    """An address that stands for all is shown as one that a client can use."""
    assert base_url(settings_for(tmp_path, host=host)) == expected


def test_curl_line_can_be_pasted(tmp_path: Path) -> None:
    """A shell reads the line as one command with a JSON body, whatever is in the model's name."""
    words = shlex.split(curl_line(settings_for(tmp_path), "it's.Q4 $(x)"))
    assert words[:2] == ["curl", "http://127.0.0.1:8000/v1/chat/completions"]
    assert words[2:4] == ["-H", "Content-Type: application/json"]
    assert json.loads(words[5])["model"] == "it's.Q4 $(x)"


def test_with_a_certificate(tmp_path: Path) -> None:
    """The address is one of https, and curl is told not to look for localhost in it."""
    settings = settings_for(tmp_path, tls_cert=tmp_path / "cert.pem")
    assert base_url(settings) == "https://127.0.0.1:8000"
    words = shlex.split(curl_line(settings, "m"))
    assert words[:3] == ["curl", "-k", "https://127.0.0.1:8000/v1/chat/completions"]


def test_all_is_told(tmp_path: Path) -> None:
    """Machine, engine with its reason, model, URL and the line to try it are there."""
    facts = Facts(os="linux", physical_cores=4)
    text = announcement(settings_for(tmp_path), facts, model=READY, with_gateway=True)
    for word in ("4 cores", "because", "m.Q4_1", "2048", "http://127.0.0.1:8000/v1", "curl"):
        assert word in text


def test_without_a_model_there_is_nothing_to_try(tmp_path: Path) -> None:
    """With no model it says where to put one; with a failed one it says why."""
    text = announcement(settings_for(tmp_path), Facts(), model=None, with_gateway=True)
    assert "put a .gguf file into" in text
    assert "curl" not in text
    failed = ModelInfo("m", 0, "fake", "why", "fake", 0, "FAILED", fault="out of luck")
    text = announcement(settings_for(tmp_path), Facts(), model=failed, with_gateway=True)
    assert "out of luck" in text
    assert "curl" not in text
