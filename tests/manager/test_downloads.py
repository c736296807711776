"""Downloads: real processes, from a hub on loopback."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any, cast

import psutil
import pytest
from tests.hub.lookalike import LookAlike, lookalike
from tests.manager.harness import SOURCE
from tests.polling import wait_until

from tricorn.errors import (
    DownloadFailed,
    InvalidRequest,
    ModelNotFound,
    NotAllowed,
    Overloaded,
    ShuttingDown,
)
from tricorn.manager.desk import downloads as module
from tricorn.manager.desk.downloads import Downloads

BIG = bytes(range(256)) * 400
MODEL = "org/big:Q4_0"


@pytest.fixture
def hub() -> Iterator[LookAlike]:
    with lookalike() as one:
        for name in ("big", "other", "third"):
            one.repos[f"org/{name}"] = {f"{name}-Q4_0.gguf": BIG}
        yield one


class Bench:
    """Downloads from `hub` into `folder`."""

    def __init__(self, hub: LookAlike, folder: Path, **given: Any) -> None:
        self.hub = hub
        self.root = folder / "models"
        self.log = folder / "logs/pulls.log"
        self.rescans = 0
        kept = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
        self.environment = kept | {
            "PYTHONPATH": str(SOURCE),
            "HF_ENDPOINT": hub.endpoint,
            "HF_HOME": str(folder / "hf"),
        }
        self.downloads = Downloads(
            lambda: self.root,
            environment=lambda: self.environment,
            log_file=self.log,
            rescan=self.rescan,
            **given,
        )

    async def rescan(self) -> None:
        self.rescans += 1

    async def states(self, name: str = MODEL, **given: Any) -> list[dict[str, Any]]:
        return [state async for state in self.downloads.follow(name, **given)]

    def processes(self) -> list[psutil.Process]:
        return [
            one
            for one in psutil.Process().children(recursive=True)
            if "tricorn.hub" in " ".join(one.cmdline())
        ]


def run(
    hub: LookAlike, folder: Path, scenario: Callable[[Bench], Awaitable[None]], **given: Any
) -> None:
    async def whole() -> None:
        bench = Bench(hub, folder, **given)
        try:
            await asyncio.wait_for(scenario(bench), 45)
        finally:
            await bench.downloads.close()
        assert bench.processes() == []

    asyncio.run(whole())


async def reached(event: threading.Event) -> None:
    assert await asyncio.to_thread(event.wait, 20)


def test_followed_to_the_end(hub: LookAlike, tmp_path: Path) -> None:
    """Every word in the documented shape; the catalog has looked before it is said to be done."""

    async def scenario(bench: Bench) -> None:
        states = await bench.states()
        assert states[0]["state"] in ("queued", "starting")
        assert states[0]["share"] is None
        last = states[-1]
        assert last.pop("started") > 0
        digest = last["files"][0].pop("digest")
        assert digest.startswith("sha256:")
        assert last == {
            "object": "model.download",
            "name": MODEL,
            "state": "done",
            "total_bytes": len(BIG),
            "completed_bytes": len(BIG),
            "share": 1.0,
            "bytes_per_second": None,
            "eta_s": None,
            "file": None,
            "digest": None,
            "file_total_bytes": None,
            "file_completed_bytes": None,
            "files": [{"name": "big-Q4_0.gguf", "size": len(BIG)}],
            "models": ["org/big/big-Q4_0"],
            "reason": None,
            "error": None,
        }
        assert bench.rescans == 1
        assert (bench.root / "org/big/big-Q4_0.gguf").read_bytes() == BIG
        assert [one["state"] for one in bench.downloads.listing()] == ["done"]

    run(hub, tmp_path, scenario)


def test_one_download_for_all_who_want_it(hub: LookAlike, tmp_path: Path) -> None:
    """However they write its name; each of them sees the progress and the end."""

    async def scenario(bench: Bench) -> None:
        at_hold, release = hub.hold("big-Q4_0.gguf", 50_000)
        followers = [
            asyncio.create_task(bench.states(name))
            for name in (MODEL, "hf.co/org/big:Q4_0", "org/big@main:Q4_0")
        ]
        await reached(at_hold)
        assert len(bench.processes()) == 1
        assert bench.downloads.start(MODEL)["name"] == MODEL
        release.set()
        for states in await asyncio.gather(*followers):
            assert states[-1]["state"] == "done"
        assert len(hub.ranges("big-Q4_0.gguf")) == 1

    run(hub, tmp_path, scenario)


def test_progress_is_told(hub: LookAlike, tmp_path: Path) -> None:
    """Bytes, share, file and digest while it comes."""

    async def scenario(bench: Bench) -> None:
        at_hold, release = hub.hold("big-Q4_0.gguf", 50_000)
        following = bench.downloads.follow(MODEL)
        async with aclosing(cast(Any, following)) as states:
            async for state in states:
                if state["state"] == "downloading" and state["file"]:
                    assert (state["file"], state["file_total_bytes"]) == ("big-Q4_0.gguf", len(BIG))
                    assert state["digest"] == state["files"][0]["digest"]
                    assert state["share"] == state["completed_bytes"] / len(BIG)
                    release.set()
        assert at_hold.is_set()
        assert state["state"] == "done"

    run(hub, tmp_path, scenario)


def test_a_slow_reader_sees_the_end(hub: LookAlike, tmp_path: Path) -> None:
    """Who looks away for long sees the newest state then, and the last one in any case."""

    async def scenario(bench: Bench) -> None:
        following = bench.downloads.follow(MODEL)
        first = await anext(following)
        while bench.downloads.listing()[0]["state"] != "done":
            await asyncio.sleep(0.01)
        rest = [state["state"] async for state in following]
        assert (first["state"], rest) == ("queued", ["done"])

    run(hub, tmp_path, scenario)


def test_cancelled_and_taken_up(hub: LookAlike, tmp_path: Path) -> None:
    """Its process ends, its followers are told, and the next download asks for the rest."""

    async def scenario(bench: Bench) -> None:
        at_hold, release = hub.hold("big-Q4_0.gguf", 50_000)
        follower = asyncio.create_task(bench.states())
        await reached(at_hold)
        await asyncio.to_thread(wait_until, lambda: any(parts(bench)))
        assert await bench.downloads.cancel("hf.co/org/big:Q4_0")
        assert bench.processes() == []
        with pytest.raises(DownloadFailed, match="was cancelled; pulled again, it goes on"):
            await follower
        state = bench.downloads.state(MODEL)
        assert state is not None
        assert (state["state"], state["error"]) == ("cancelled", None)
        assert not await bench.downloads.cancel(MODEL)
        (come,) = parts(bench)
        hub.faults.held.clear()
        release.set()
        assert (await bench.states())[-1]["state"] == "done"
        assert hub.ranges("big-Q4_0.gguf")[-1] == f"bytes={come}-102399"
        assert bench.rescans == 1

    run(hub, tmp_path, scenario)


def parts(bench: Bench) -> list[int]:
    return [part.stat().st_size for part in bench.root.glob("**/*.part")]


@pytest.mark.parametrize("keep", [True, False])
def test_when_the_last_follower_leaves(hub: LookAlike, tmp_path: Path, keep: bool) -> None:
    """A download goes on, or ends with whoever waited for it, as they asked."""

    async def scenario(bench: Bench) -> None:
        at_hold, release = hub.hold("big-Q4_0.gguf", 50_000)
        followers = [asyncio.create_task(bench.states(keep=keep)) for _ in range(2)]
        await reached(at_hold)
        for follower in followers:
            assert len(bench.processes()) == 1
            follower.cancel()
            await asyncio.wait([follower])
        assert len(bench.processes()) == (1 if keep else 0)
        state = bench.downloads.state(MODEL)
        assert state is not None
        assert (state["state"] == "cancelled") is not keep
        release.set()
        if keep:
            assert (await bench.states())[-1]["state"] == "done"

    run(hub, tmp_path, scenario)


def test_no_more_than_so_many_at_once(hub: LookAlike, tmp_path: Path) -> None:
    """The others are queued, and can be cancelled there."""

    async def scenario(bench: Bench) -> None:
        at_hold, release = hub.hold("big-Q4_0.gguf", 50_000)
        bench.downloads.start("org/big")
        await reached(at_hold)
        assert bench.downloads.start("org/other")["state"] == "queued"
        bench.downloads.start("org/third")
        assert await bench.downloads.cancel("org/third")
        release.set()
        assert (await bench.states("org/other"))[-1]["state"] == "done"
        states = {one["name"]: one["state"] for one in bench.downloads.listing()}
        assert states == {"org/big": "done", "org/other": "done", "org/third": "cancelled"}

    run(hub, tmp_path, scenario, at_once=1)


def test_refusals(hub: LookAlike, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that is none, a hub that has it not or does not give it, and too many at once."""

    async def scenario(bench: Bench) -> None:
        with pytest.raises(InvalidRequest) as caught:
            bench.downloads.start("../etc", param="model")
        assert caught.value.param == "model"
        with pytest.raises(ModelNotFound, match="org/none"):
            await bench.states("org/none")
        state = bench.downloads.state("org/none")
        assert state is not None
        assert state["error"]["code"] == "model_not_found"
        hub.gated.add("org/other")
        with pytest.raises(NotAllowed, match="HF_TOKEN"):
            await bench.states("org/other")
        bench.environment["HF_TOKEN"] = hub.token
        assert (await bench.states("org/other"))[-1]["state"] == "done"
        monkeypatch.setattr(module, "MAX_QUEUED", 0)
        with pytest.raises(Overloaded):
            bench.downloads.start("org/big")

    run(hub, tmp_path, scenario)


def test_the_token_is_in_no_command_line(hub: LookAlike, tmp_path: Path) -> None:
    """Whoever lists the machine's processes does not see it, and no log has it."""

    async def scenario(bench: Bench) -> None:
        bench.environment["HF_TOKEN"] = hub.token
        hub.gated.add("org/big")
        at_hold, release = hub.hold("big-Q4_0.gguf", 50_000)
        bench.downloads.start("org/big")
        await reached(at_hold)
        (process,) = bench.processes()
        assert hub.token not in " ".join(process.cmdline())
        release.set()
        await bench.states("org/big")
        assert hub.token not in bench.log.read_text()

    run(hub, tmp_path, scenario)


def test_a_process_that_dies(hub: LookAlike, tmp_path: Path) -> None:
    """Its end is told with where to look; the next try goes on."""

    async def scenario(bench: Bench) -> None:
        at_hold, release = hub.hold("big-Q4_0.gguf", 50_000)
        follower = asyncio.create_task(bench.states())
        await reached(at_hold)
        (process,) = bench.processes()
        process.send_signal(signal.SIGKILL)
        with pytest.raises(DownloadFailed, match=r"was ended by SIGKILL.*pulls\.log"):
            await follower
        release.set()
        hub.faults.held.clear()
        assert (await bench.states())[-1]["state"] == "done"

    run(hub, tmp_path, scenario)


def test_a_process_that_speaks_nonsense(hub: LookAlike, tmp_path: Path) -> None:
    """It is ended, and the download has failed."""

    async def scenario(bench: Bench) -> None:
        with pytest.raises(DownloadFailed, match="spoke nonsense"):
            await bench.states()

    run(hub, tmp_path, scenario, command=[sys.executable, "-c", "print('hello'); input()"])


def test_a_process_that_cannot_be_started(hub: LookAlike, tmp_path: Path) -> None:
    """As it is, in one sentence."""

    async def scenario(bench: Bench) -> None:
        with pytest.raises(DownloadFailed, match="could not be started"):
            await bench.states()

    run(hub, tmp_path, scenario, command=["/nonexistent/python"])


def test_a_rescan_that_fails_spoils_nothing(hub: LookAlike, tmp_path: Path) -> None:
    """The files are there, and are found by the next one."""

    async def scenario(bench: Bench) -> None:
        async def broken() -> None:
            raise RuntimeError("the disk is on fire")

        bench.downloads._rescan = broken
        assert (await bench.states())[-1]["state"] == "done"

    run(hub, tmp_path, scenario)


def test_closing_ends_all(hub: LookAlike, tmp_path: Path) -> None:
    """Running and queued ones are cancelled; nothing more is taken."""

    async def scenario(bench: Bench) -> None:
        at_hold, _ = hub.hold("big-Q4_0.gguf", 50_000)
        bench.downloads.start("org/big")
        bench.downloads.start("org/other")
        await reached(at_hold)
        await bench.downloads.close()
        assert {one["state"] for one in bench.downloads.listing()} == {"cancelled"}
        with pytest.raises(ShuttingDown):
            bench.downloads.start("org/big")

    run(hub, tmp_path, scenario, at_once=1)


def test_those_that_ended_are_forgotten(
    hub: LookAlike, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The list does not grow for ever."""
    monkeypatch.setattr(module, "KEPT", 1)

    async def scenario(bench: Bench) -> None:
        for name in ("org/a", "org/b", "org/c"):
            with pytest.raises(ModelNotFound):
                await bench.states(name)
        assert [one["name"] for one in bench.downloads.listing()] == ["org/b", "org/c"]

    run(hub, tmp_path, scenario)


@pytest.mark.skipif(os.name != "posix", reason="signals of posix")
def test_a_download_ends_with_its_manager(hub: LookAlike, tmp_path: Path) -> None:
    """Killed, it leaves no process behind."""
    at_hold, release = hub.hold("big-Q4_0.gguf", 50_000)
    program = textwrap.dedent(
        f"""
        import asyncio, os
        from pathlib import Path
        from tricorn.manager.desk.downloads import Downloads

        async def rescan(): pass

        async def main():
            folder = Path({str(tmp_path)!r})
            one = Downloads(lambda: folder, environment=lambda: dict(os.environ),
                            log_file=folder / "log", rescan=rescan)
            one.start("org/big")
            await asyncio.sleep(60)

        asyncio.run(main())
        """
    )
    kept = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    manager = subprocess.Popen(
        [sys.executable, "-c", program],
        env=kept | {"PYTHONPATH": str(SOURCE), "HF_ENDPOINT": hub.endpoint},
    )
    try:
        assert at_hold.wait(20)
        (process,) = psutil.Process(manager.pid).children()
    finally:
        manager.kill()
        manager.wait()
    wait_until(lambda: not process.is_running() or process.status() == psutil.STATUS_ZOMBIE)
    release.set()
