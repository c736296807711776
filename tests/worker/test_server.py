"""The data socket of an engine worker, over the engine without a model."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tests.worker.bench import Bench, events, run

from tricorn.engines.request import SamplingParams
from tricorn.errors import EngineLost
from tricorn.wire import HEADER, open_connection, pack, read_frame
from tricorn.worker import protocol
from tricorn.worker.protocol import Cancel, Delta, Failed, Finished, Hello, Start, Started, Vectors


@pytest.fixture(params=["unix", "tcp"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return f"unix:{tmp_path / 's'}" if request.param == "unix" else "tcp:127.0.0.1:0"


def test_a_request_from_start_to_finish(address: str) -> None:
    """Started with the prompt's length, deltas, Finished."""

    async def scenario(made: Bench) -> None:
        gateway = await made.connect()
        gateway.start(5, "hello")
        got = events(await gateway.until(), 5)
        assert got[0] == Started(5, 5)
        assert isinstance(got[-1], Finished)
        assert "".join(e.delta.text for e in got if isinstance(e, Delta)) == "hello"

    run(address, scenario)


def test_a_traced_request_tells_how_long_it_waited(address: str) -> None:
    """At its end; others do not."""

    async def scenario(made: Bench) -> None:
        gateway = await made.connect()
        trace = {"traceparent": f"00-{'1' * 32}-{'2' * 16}-01"}
        prompt = protocol.TextPrompt("hello")
        gateway.send(Start(5, "r5", prompt, SamplingParams(), trace=trace))
        gateway.start(6, "hello")
        frames = await gateway.until(2)
        for number, told in ((5, True), (6, False)):
            end = events(frames, number)[-1]
            assert isinstance(end, Finished)
            assert (end.waited_s is not None) is told

    run(address, scenario)


def test_one_frame_a_step_for_all_requests(address: str) -> None:
    """What a step gives to several requests leaves together."""

    async def scenario(made: Bench) -> None:
        gateway = await made.connect()
        for number in (1, 2, 3):
            gateway.start(number, max_tokens=20)
        frames = await gateway.until(3)
        together = [
            f for f in frames if {e.id for e in f.events if isinstance(e, Delta)} == {1, 2, 3}
        ]
        assert len(together) >= 10

    run(address, scenario, answer="x", endless=True, token_delay_s=0.02)


def test_cancel_frees_the_engine(address: str) -> None:
    """No more events, and the sequence is gone; the others go on."""

    async def scenario(made: Bench) -> None:
        gateway = await made.connect()
        gateway.start(1)
        while not any(isinstance(e, Delta) for e in (await gateway.frame()).events):
            continue
        gateway.send(Cancel(1))
        await made.idle()
        gateway.start(2, max_tokens=2)
        frames = await gateway.until()
        assert not any(isinstance(e, Finished | Failed) for e in events(frames, 1))
        assert isinstance(events(frames, 2)[-1], Finished)

    run(address, scenario, answer="x", endless=True, token_delay_s=0.005)


def test_a_lost_connection_cancels_what_it_carried(address: str) -> None:
    """All of its requests, and none of another connection's."""

    async def scenario(made: Bench) -> None:
        gone, stays = await made.connect(), await made.connect()
        for number in (1, 2):
            gone.start(number)
        stays.start(1)
        while made.engine.stats().running < 3:
            await asyncio.sleep(0.005)
        gone.writer.close()
        while made.engine.stats().running > 1:
            await asyncio.sleep(0.005)
        stays.send(Cancel(1))
        await made.idle()

    run(address, scenario, answer="x", endless=True, token_delay_s=0.005)


@pytest.mark.parametrize(
    "first",
    [
        pack(protocol.encode(Hello("wrong"))),
        pack(protocol.encode(Cancel(1))),
        pack(b"\xc1"),
        HEADER.pack(0xFFFFFFFF),
    ],
    ids=["secret", "no hello", "no message", "length"],
)
def test_a_stranger_is_closed_without_an_answer(address: str, first: bytes) -> None:
    """The wrong secret and whatever is no Hello; the server goes on."""

    async def scenario(made: Bench) -> None:
        reader, writer = await open_connection(made.address)
        writer.write(first)
        assert await reader.read() == b""
        gateway = await made.connect()
        gateway.start(1)
        assert isinstance(events(await gateway.until(), 1)[-1], Finished)

    run(address, scenario)


def test_a_bad_frame_ends_the_connection_and_its_requests(address: str) -> None:
    """Nothing after it can be trusted."""

    async def scenario(made: Bench) -> None:
        gateway = await made.connect()
        gateway.start(1)
        while made.engine.stats().running < 1:
            await asyncio.sleep(0.005)
        gateway.writer.write(pack(b"\xc1"))
        while await read_frame(gateway.reader) is not None:
            continue
        await made.idle()

    run(address, scenario, answer="x", endless=True, token_delay_s=0.005)


def test_an_error_comes_as_failed(address: str) -> None:
    """With the error's code and param, before any Started."""

    async def scenario(made: Bench) -> None:
        gateway = await made.connect()
        gateway.send(Start(1, "r", protocol.TokenPrompt([999]), SamplingParams()))
        (failed,) = events(await gateway.until(), 1)
        assert isinstance(failed, Failed)
        assert (failed.error.code, failed.error.param) == ("invalid_value", "prompt")
        assert made.lost == 0

    run(address, scenario)


def test_a_lost_engine_is_told_of(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The request fails as engine_lost and the worker is told to end."""

    async def scenario(made: Bench) -> None:
        def lost(_request: object) -> None:
            raise EngineLost("gone")

        monkeypatch.setattr(made.engine, "generate", lost)
        gateway = await made.connect()
        gateway.start(1)
        failed = events(await gateway.until(), 1)[-1]
        assert isinstance(failed, Failed)
        assert failed.error.code == "engine_lost"
        assert made.lost == 1

    run(address, scenario)


def test_vectors_and_scores(address: str) -> None:
    """Each request has its own answer and its end, beside the others on the connection."""

    async def scenario(made: Bench) -> None:
        gateway = await made.connect()
        prompts = [protocol.TextPrompt("a")] * 65
        gateway.send(protocol.Embed(1, "r", [*prompts]), protocol.Score(2, "r", ["a"], ["b", "a"]))
        frames = await gateway.until(2)
        *vectors, end = events(frames, 1)
        assert [len(part.vectors) for part in vectors if isinstance(part, Vectors)] == [64, 1]
        assert isinstance(end, Finished)
        scored, end = events(frames, 2)
        assert scored == protocol.Scored(2, [0.0, 1.0], 3)
        assert isinstance(end, Finished)

    run(address, scenario, pooling="embed")


def test_tokens(address: str) -> None:
    """There and back; what cannot be had fails."""

    async def scenario(made: Bench) -> None:
        gateway = await made.connect()
        gateway.send(
            protocol.Tokenize(1, "r", protocol.TextPrompt("ab")),
            protocol.Detokenize(2, "r", [97]),
            protocol.Detokenize(3, "r", [999]),
        )
        frames = await gateway.until(3)
        assert events(frames, 1)[0] == protocol.Tokenized(1, [97, 98])
        assert events(frames, 2)[0] == protocol.Detokenized(2, "a")
        (failed,) = events(frames, 3)
        assert isinstance(failed, Failed)
        assert failed.error.param == "tokens"

    run(address, scenario)


def test_cancelled_vectors(address: str) -> None:
    """The engine forgets what it has not computed, and no more events come."""

    async def scenario(made: Bench) -> None:
        gateway = await made.connect()
        gateway.send(protocol.Embed(1, "r", [protocol.TokenPrompt([1])] * 2000))
        while not made.engine.stats().waiting:
            await asyncio.sleep(0.005)
        gateway.send(Cancel(1))
        await made.idle()
        gateway.send(protocol.Embed(2, "r", [protocol.TokenPrompt([1])]))
        frames = await gateway.until()
        assert not any(isinstance(event, Finished | Failed) for event in events(frames, 1))
        assert made.engine.stats().prompt_tokens < 2000

    run(address, scenario, pooling="embed", token_delay_s=0.01)
