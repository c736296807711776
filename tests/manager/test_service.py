"""Tests of `tricorn.manager.service`: the manager as a process of its own, with fake engines."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import signal
import socket
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
import pytest
from tests.manager.harness import WAIT_S, is_running
from tests.manager.served import Served
from tests.polling import wait_until

from tricorn.manager.protocol.model_info import ModelInfo
from tricorn.manager.run_directory import read_control
from tricorn.storage.keys import KeyStore

posix = pytest.mark.skipif(os.name != "posix", reason="signals of posix")


@posix
def test_a_first_key_and_what_is_used_by_it(folder: Path) -> None:
    """It is printed once and kept; what a lease has taken is in the books when the manager has
    ended; no log has the key."""
    data = folder / "data"
    settings: dict[str, Any] = {"auth": "required", "data_dir": str(data)}
    with closing(Served(folder, {"m": {}}, **settings)) as served:
        granted = served.lease()
        text = (data / "admin-key").read_text().strip()
        served.client.release(granted.lease, prompt_tokens=3, completion_tokens=4)
        served.process.send_signal(signal.SIGTERM)
        assert served.process.wait(WAIT_S) == 0
        printed = served.text()
        assert printed.count(text) == 1
        assert not any(text in line for line in printed.splitlines() if line.startswith("{"))
        (row,) = KeyStore(data).usage("2000")
        assert (row.key, row.model, row.requests) == ("", "m", 1)
        assert (row.prompt_tokens, row.completion_tokens) == (3, 4)
    with closing(Served(folder, {"m": {}}, **settings)) as served:
        served.lease()
        assert text not in served.text()
        assert text not in (served.run_dir / "settings.json").read_text()


def test_models_are_preloaded(folder: Path) -> None:
    """Those that the settings say, beside the default one; the others wait for a request."""
    models: dict[str, Any] = {"default": {}, "early": {}, "late": {}}
    with closing(Served(folder, models, ("early",), default_model="default")) as served:
        assert served.client.wait_connected(WAIT_S)

        def states() -> dict[str, str]:
            snapshot = served.client.snapshot()
            assert snapshot is not None
            return {model.id: model.state for model in snapshot.models}

        wait_until(lambda: states() == {"default": "READY", "early": "READY", "late": "UNLOADED"})


@pytest.fixture
def served(folder: Path) -> Iterator[Served]:
    """A manager with one fake model that is loaded at start."""
    with closing(Served(folder, {"m": {}})) as found:
        yield found


def test_start_tells_what_there_is(served: Served) -> None:
    """The default model is loaded at start, the announcement printed, the manager small."""
    served.client.wait_connected(WAIT_S)
    wait_until(lambda: "Model    m, context of 4096 tokens" in served.text())
    wait_until(lambda: (now := served.client.snapshot()) is not None and now.ready)
    snapshot = served.client.snapshot()
    assert snapshot is not None
    assert snapshot.default_model == "m"
    assert json.loads((served.run_dir / "settings.json").read_text())["models"]["m"]
    status = Path(f"/proc/{served.process.pid}/status")
    if status.exists():
        rss = re.search(r"VmRSS:\s+(\d+) kB", status.read_text())
        assert rss is not None
        assert int(rss[1]) < 80 * 1024


@posix
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stop_leaves_nothing_behind(served: Served, number: int) -> None:
    """A signal ends the manager with 0; its workers and its run directory are gone."""
    served.client.release(served.lease().lease)
    (worker,) = served.worker_pids()
    served.process.send_signal(number)
    assert served.process.wait(WAIT_S) == 0
    assert not is_running(worker)
    assert not served.run_dir.exists()


@posix
def test_stop_waits_for_leases(served: Served) -> None:
    """What runs is finished first; meanwhile nothing new is taken, and that is said."""
    lease = served.lease()
    served.process.send_signal(signal.SIGTERM)

    def is_draining() -> bool:
        snapshot = served.client.snapshot()
        return snapshot is not None and snapshot.reason == "Tricorn is shutting down"

    wait_until(is_draining)
    assert served.process.poll() is None
    assert is_running(served.worker_pids()[0])
    served.client.release(lease.lease)
    assert served.process.wait(WAIT_S) == 0


@posix
def test_stop_waits_no_longer_than_it_may(folder: Path) -> None:
    """After DRAIN_TIMEOUT_S it ends although a lease is out."""
    with closing(Served(folder, {"m": {}}, drain_timeout_s=0.2)) as served:
        served.lease()
        served.process.send_signal(signal.SIGTERM)
        assert served.process.wait(WAIT_S) == 0


@posix
def test_second_signal_ends_at_once(served: Served) -> None:
    """A second signal does not wait for leases; nothing is left behind all the same."""
    served.lease()
    (worker,) = served.worker_pids()
    served.process.send_signal(signal.SIGTERM)

    def insist() -> bool:  # one that comes right after the first is taken for the same wish
        if served.process.poll() is None:
            served.process.send_signal(signal.SIGTERM)
        return served.process.poll() is not None

    wait_until(insist)
    assert served.process.returncode == 130
    assert not is_running(worker)
    assert not served.run_dir.exists()


@posix
def test_killed_manager_takes_its_workers_along(served: Served) -> None:
    """Workers end when the manager is killed, and the next manager starts over what it left."""
    served.lease()
    (worker,) = served.worker_pids()
    served.process.kill()
    served.process.wait()
    wait_until(lambda: not is_running(worker))
    assert (served.run_dir / "control.json").exists()
    old = read_control(served.run_dir)["secret"]
    served.process = served.start()

    def is_new() -> bool:
        with contextlib.suppress(FileNotFoundError):  # it removes the old one first
            return read_control(served.run_dir)["secret"] != old
        return False

    wait_until(is_new)
    served.client.release(served.lease().lease)
    served.process.terminate()
    assert served.process.wait(WAIT_S) == 0


def test_second_manager_is_refused(served: Served) -> None:
    """A second manager for the same run directory says who has it, and exits with 1."""
    assert served.client.wait_connected(WAIT_S)
    second = served.start()
    assert second.wait(WAIT_S) == 1
    assert f"tricorn: another Tricorn is running here (pid {served.process.pid})" in served.text()
    assert served.process.poll() is None


def test_failed_default_model_is_told(folder: Path) -> None:
    """A default model that cannot be loaded does not end the manager; it says why."""
    with closing(Served(folder, {"m": {"load_error": "out of luck"}})) as served:
        told = "Model    m – the model m cannot be loaded: out of luck"
        wait_until(lambda: told in served.text())

        def says_why() -> bool:
            snapshot = served.client.snapshot()
            return snapshot is not None and not snapshot.ready and "out of luck" in snapshot.reason

        wait_until(says_why)


# --- settings that change ------------------------------------------------------------------------


def listed(served: Served) -> dict[str, ModelInfo]:
    """The models of the snapshot, by id."""
    snapshot = served.client.snapshot()
    return {} if snapshot is None else {model.id: model for model in snapshot.models}


def test_changed_settings_are_taken_over(served: Served) -> None:
    """A new model can be asked for without a restart; the one that runs is left alone."""
    served.client.release(served.lease().lease)
    before = served.worker_pids()
    file = served.folder / "tricorn.yaml"
    settings = json.loads(file.read_text())
    settings["models"]["n"] = {"engine": "fake"}
    file.write_text(json.dumps(settings | {"log_level": "ERROR", "max_body_bytes": 2048}))
    wait_until(lambda: "n" in listed(served))
    served.client.release(served.lease("n").lease)
    assert all(is_running(pid) for pid in before)
    told = json.loads((served.run_dir / "settings.json").read_text())
    assert (set(told["models"]), told["log_level"]) == ({"m", "n"}, "ERROR")
    snapshot = served.client.snapshot()
    assert snapshot is not None
    assert snapshot.log_level == "ERROR"  # gateways take it over
    assert told["max_body_bytes"] != 2048  # what needs a restart stays as it was


@posix
def test_hangup_reads_the_settings_again(served: Served) -> None:
    """SIGHUP ends nothing; a file that cannot be used is told of and changes nothing."""
    served.client.release(served.lease().lease)
    file = served.folder / "tricorn.yaml"
    good = file.read_text()
    file.write_text('{"prot": 1}')
    served.process.send_signal(signal.SIGHUP)
    wait_until(lambda: "prot: no such setting; did you mean port?" in served.text())
    assert list(listed(served)) == ["m"]
    settings = json.loads(good)
    settings["models"]["n"] = {"engine": "fake", "aliases": ["other"]}
    file.write_text(json.dumps(settings))
    served.process.send_signal(signal.SIGHUP)
    wait_until(lambda: "n" in listed(served))
    assert served.process.poll() is None


# --- with the gateway ------------------------------------------------------------------------


@pytest.fixture
def whole(folder: Path) -> Iterator[Served]:
    """A manager with its gateway on a free port, once it is announced."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with closing(Served(folder, {"m": {}}, port=port, workers=1)) as found:
        wait_until(lambda: "Try it:" in found.text())
        yield found


def children(pid: int) -> list[int]:
    """The processes below `pid`, as psutil sees them."""
    return [child.pid for child in psutil.Process(pid).children(recursive=True)]


@posix
def test_announced_line_works(whole: Served) -> None:
    """The curl line that is printed at start gets an answer when it is pasted."""
    (line,) = re.findall(r"Try it:  curl (.*)", whole.text())
    url, _, kind, _, body = shlex.split(line)
    name, _, value = kind.partition(": ")
    request = urllib.request.Request(url, body.encode(), {name: value})
    with urllib.request.urlopen(request, timeout=WAIT_S) as response:
        told = json.load(response)
    assert told["choices"][0]["message"]["content"] == "Hello!"


@posix
def test_stop_ends_the_gateway(whole: Served) -> None:
    """A signal ends gunicorn, its workers and the engines, and then the manager with 0."""
    below = children(whole.process.pid)
    assert len(below) >= 3
    whole.client.close()
    whole.process.terminate()
    assert whole.process.wait(WAIT_S) == 0
    assert not [pid for pid in below if is_running(pid)]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the gateway's own watch ends it")
def test_killed_manager_takes_its_gateway_along(whole: Served) -> None:
    """When the manager is killed nothing of it stays."""
    below = children(whole.process.pid)
    whole.process.kill()
    wait_until(lambda: not [pid for pid in below if is_running(pid)])


@posix
def test_dead_gateway_comes_back(whole: Served) -> None:
    """A gunicorn that is killed is started again; the model stays loaded."""
    parents = psutil.Process(whole.process.pid).children()
    (gunicorn,) = [child for child in parents if "gunicorn" in " ".join(child.cmdline())]
    (worker,) = whole.worker_pids()
    before = whole.text().count("gateway connected")
    gunicorn.kill()
    wait_until(lambda: whole.text().count("gateway connected") > before)
    assert is_running(worker)
