"""`tricorn pull`, as a process, from a hub on loopback."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.hub.lookalike import LookAlike, lookalike
from tests.manager.harness import SOURCE
from tests.model_facts.gguf_files import gguf

from tricorn.hardware.choice import Choice
from tricorn.manager.catalog.catalog import Catalog
from tricorn.settings.config import Settings

BIG = bytes(range(256)) * 400


@pytest.fixture
def interruptible() -> Iterator[None]:
    """SIGINT reaches this process's children; a shell leaves those that it starts by `&` deaf."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def hub() -> Iterator[LookAlike]:
    with lookalike() as one:
        one.repos["org/tiny-GGUF"] = {"tiny-Q8_0.gguf": gguf(), "tiny-F16.gguf": gguf() * 2}
        one.repos["org/big"] = {"big-Q4_0.gguf": BIG}
        yield one


def start(hub: LookAlike, folder: Path, *arguments: str, **more: str) -> subprocess.Popen[str]:
    kept = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    return subprocess.Popen(
        [sys.executable, "-m", "tricorn.cli", "pull", *arguments],
        cwd=folder,
        env=kept
        | {"PYTHONPATH": str(SOURCE), "HF_ENDPOINT": hub.endpoint, "HF_HOME": str(folder / "hf")}
        | more,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=30)
    return process.returncode, out, err


def test_a_model_is_pulled_and_listed(hub: LookAlike, tmp_path: Path) -> None:
    """From the hub's name to the catalog's, without a server."""
    code, out, err = ended(start(hub, tmp_path, "org/tiny-GGUF:Q8_0"))
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "org/tiny-GGUF:Q8_0: asking the hub"
    assert lines[-1].startswith("org/tiny-GGUF/tiny-Q8_0: ")
    chosen = Choice("llamacpp", "cpu", ("as the test wants it",))
    settings = Settings(model_base_path=tmp_path / "models")
    specs = Catalog(settings, lambda traits, preferences: chosen).scan()
    assert [(spec.id, spec.fault) for spec in specs.values()] == [("org/tiny-GGUF/tiny-Q8_0", None)]


def test_quiet_prints_the_id_alone(hub: LookAlike, tmp_path: Path) -> None:
    """For scripts."""
    assert ended(start(hub, tmp_path, "--quiet", "hf.co/org/tiny-GGUF")) == (
        0,
        "org/tiny-GGUF/tiny-Q8_0\n",
        "",
    )


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("../../etc", "is no model of the hub"),
        ("org/none", "has no repository org/none"),
        ("org/tiny-GGUF:Q2_K", "has no Q2_K; it has F16, Q8_0"),
    ],
)
def test_errors_are_one_sentence(hub: LookAlike, tmp_path: Path, name: str, text: str) -> None:
    """Exit code 1, no traceback, and nothing that is secret."""
    code, _, err = ended(start(hub, tmp_path, name, HF_TOKEN="hf_secret"))
    assert code == 1
    assert err.startswith("tricorn: ")
    assert text in err
    assert len(err.splitlines()) == 1
    assert "hf_secret" not in err


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_stopped_and_taken_up(
    hub: LookAlike, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    """Ctrl-C leaves what has come and says so; the next one asks for the rest only."""
    reached, release = hub.hold("big-Q4_0.gguf", 50_000)
    process = start(hub, tmp_path, "org/big")
    assert reached.wait(20)
    process.send_signal(number)
    stopped, _, err = ended(process)
    release.set()
    assert stopped == code
    assert re.search(r"what has come is kept: .* pull org/big goes on", err)
    (part,) = (tmp_path / "models").glob("**/*.part")
    come = part.stat().st_size
    assert BIG.startswith(part.read_bytes())
    hub.faults.held.clear()
    assert ended(start(hub, tmp_path, "org/big"))[0] == 0
    assert hub.ranges("big-Q4_0.gguf")[-1] == (f"bytes={come}-102399" if come else None)
    assert (tmp_path / "models/org/big/big-Q4_0.gguf").read_bytes() == BIG


def test_through_a_proxy(hub: LookAlike, tmp_path: Path) -> None:
    """A hub that only the proxy can reach."""
    process = start(
        hub,
        tmp_path,
        "--quiet",
        "org/big",
        HF_ENDPOINT="http://hub.invalid",
        HTTP_PROXY=hub.endpoint,
    )
    assert ended(process) == (0, "org/big/big-Q4_0\n", "")
    assert all(one.path.startswith("http://") for one in hub.asked)


def test_settings_of_the_file_count(hub: LookAlike, tmp_path: Path) -> None:
    """The folder, the hub and the token of tricorn.yaml."""
    hub.gated.add("org/big")
    (tmp_path / "my.yaml").write_text(
        f"model_base_path: {tmp_path}/elsewhere\nhf_endpoint: {hub.endpoint}\n"
        f"hf_token: {hub.token}\n"
    )
    process = start(hub, tmp_path, "--quiet", "--config", "my.yaml", "org/big", HF_ENDPOINT="")
    assert ended(process) == (0, "org/big/big-Q4_0\n", "")
    assert (tmp_path / "elsewhere/org/big/big-Q4_0.gguf").exists()
