"""Frames and messages of any kind: what is none ends in one kind of error, at once."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests import garbage

from tricorn.manager.protocol import messages
from tricorn.wire import HEADER, MAX_FRAME, MAX_HELLO, FrameError, FrameReader, pack, read_frame
from tricorn.worker import protocol as data

Decode = Callable[[bytes], object]

PAYLOADS = st.lists(st.binary(max_size=300), max_size=6)
CUTS = st.lists(st.integers(0, 2000), max_size=12)


@settings(deadline=None)
@given(sent=PAYLOADS, cuts=CUTS, rest=st.binary(max_size=3))
def test_frames_come_out_as_they_went_in(sent: list[bytes], cuts: list[int], rest: bytes) -> None:
    """However the network cut them; of one that is not whole nothing comes out."""
    stream = b"".join(map(pack, sent)) + rest
    places = [0, *sorted(min(at, len(stream)) for at in cuts), len(stream)]
    reader = FrameReader()
    got = [frame for a, b in pairwise(places) for frame in reader.feed(stream[a:b])]
    assert got == sent


def read_all(stream: bytes, most: int = MAX_FRAME) -> list[bytes]:
    async def scenario() -> list[bytes]:
        reader = asyncio.StreamReader()
        reader.feed_data(stream)
        reader.feed_eof()
        frames = []
        while (payload := await read_frame(reader, most)) is not None:
            frames.append(payload)
        return frames

    return asyncio.run(scenario())


@settings(deadline=None)
@given(stream=garbage.streams(*garbage.CLIENT))
def test_both_readers_agree(stream: bytes) -> None:
    """About what is a frame, and about what makes the peer one that speaks something else."""
    by_feeding: list[bytes] | None
    try:
        by_feeding = FrameReader().feed(stream)
    except FrameError:
        by_feeding = None
    try:
        by_reading: list[bytes] | None = read_all(stream)
    except FrameError:
        by_reading = None
    assert by_reading == by_feeding


def test_a_stranger_is_not_listened_to_for_long() -> None:
    """A first frame that is longer than a greeting is refused before any of it is kept."""
    assert read_all(pack(b"x" * MAX_HELLO), MAX_HELLO) == [b"x" * MAX_HELLO]
    with pytest.raises(FrameError, match=f"frame of {MAX_HELLO + 1} bytes"):
        read_all(HEADER.pack(MAX_HELLO + 1), MAX_HELLO)


@pytest.mark.parametrize(
    ("decode", "samples"),
    [
        (messages.decode_client, garbage.CLIENT),
        (messages.decode_manager, garbage.MANAGER),
        (data.decode_op, garbage.OPS),
        (data.decode_frame, garbage.FRAMES),
    ],
    ids=["client", "manager", "op", "frame"],
)
def test_what_is_no_message(decode: Decode, samples: list[object]) -> None:
    """A FrameError, which ends a connection, and nothing else."""
    for message in samples:
        assert decode(messages.encode(message)) == message  # type: ignore[arg-type]

    @settings(deadline=None)
    @given(payload=garbage.payloads(*samples))
    @example(garbage.NO_TEXT)
    @example(garbage.NO_END)
    @example(garbage.NO_ITEMS)
    def decoded(payload: bytes) -> None:
        with contextlib.suppress(FrameError):
            decode(payload)

    decoded()
