"""What a peer may send that is broken, foreign or malicious: strategies for hypothesis."""

from __future__ import annotations

import msgspec
from hypothesis import strategies as st

from tricorn.access.terms import Allowance
from tricorn.engines.base import EngineStats
from tricorn.engines.request import SamplingParams, TokenDelta
from tricorn.manager.protocol.calls import Acquire, Claim, Order, Progress, Release
from tricorn.manager.protocol.messages import Hello
from tricorn.manager.protocol.model_info import ModelInfo
from tricorn.manager.protocol.news import Event, Snapshot
from tricorn.manager.protocol.usage import HttpAnswers, Usage
from tricorn.wire import HEADER, MAX_FRAME, pack
from tricorn.worker import protocol as data

_SAMPLING = SamplingParams(stop=("a", "é"), logit_bias={3: 0.5})
CLIENT = [
    Hello("gateway", 7, "s"),
    Acquire(1, "m", "r", "k", (1, 2), 3.0, Claim("k", Allowance(), 5)),
    Order(2, "load", {"model": "m", "options": [1, {"a": None}]}),
    Release(9, True, 3, 4),
    Usage(1, 0, 0.5, 2, 3, answers=[HttpAnswers("POST", "/v1", 200, 1)]),
]
MANAGER = [
    Snapshot(1, [ModelInfo("m", 0, "e", "", "f", 1, "READY")], True, "well"),
    Progress(1, "it loads", 0.5, 3.0, {"part": [1, 2]}),
    Event(1, 2.0, "kind", "m", {"x": {}}),
]
OPS = [
    data.Hello("s"),
    data.Start(1, "r", data.ChatPrompt([{"role": "user", "content": "é"}]), _SAMPLING),
    data.Start(2, "r", data.TokenPrompt([1, 2]), _SAMPLING, prompt_text=True),
    data.Embed(3, "r", [data.TextPrompt("a")]),
    data.Cancel(1),
]
FRAMES = [
    data.Frame([data.Started(1, 5), data.Delta(1, TokenDelta(0, "é", [1]))], EngineStats(1)),
    data.Frame([data.Finished(1)], EngineStats()),
]

NO_TEXT = b"\x84\xa4type\xa5hello\xa4role\xa7gateway\xa3pid\x01\xa6secret\xa2\xff\xfe"
"""A text that is no UTF-8."""
NO_END = b"\x84\xa4type\xa5order\xa4call\x01\xa7command\xa1x\xa9arguments\x81\xa1a" + b"\x91" * 9999
"""Arrays in arrays."""
NO_ITEMS = b"\x92\xdd\xff\xff\xff\xff"
"""Four thousand million items are announced."""


@st.composite
def _mutated(draw: st.DrawFn, valid: list[bytes]) -> bytes:
    """A message with some of its bits flipped, cut off, or with something in it."""
    payload = bytearray(draw(st.sampled_from(valid)))
    for _ in range(draw(st.integers(0, 3))):
        payload[draw(st.integers(0, len(payload) - 1))] ^= 1 << draw(st.integers(0, 7))
    at = draw(st.integers(0, len(payload)))
    match draw(st.sampled_from(["cut", "grow", "stay"])):
        case "cut":
            del payload[at:]
        case "grow":
            payload[at:at] = draw(st.binary(max_size=20))
    return bytes(payload)


_ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text()
    | st.binary(max_size=20) | st.sampled_from(["type", "hello", "start", "order", "s", "d"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=10,
)  # fmt: skip


def payloads(*messages: object) -> st.SearchStrategy[bytes]:
    """Of frames: hardly ever one of `messages`, often nearly one."""
    valid = [msgspec.msgpack.encode(message) for message in messages]
    return st.one_of(
        _mutated(valid),
        st.binary(max_size=200),
        _ANYTHING.map(msgspec.msgpack.encode),
        st.sampled_from([NO_TEXT, NO_END, NO_ITEMS, b""]),
    )


def streams(*messages: object) -> st.SearchStrategy[bytes]:
    """Of a connection: frames, some with a length that is wrong, or bytes that are none."""
    lengths = st.sampled_from([0, 1, 100, MAX_FRAME, MAX_FRAME + 1, 2**32 - 1])
    lied = st.tuples(lengths, payloads(*messages)).map(lambda pair: HEADER.pack(pair[0]) + pair[1])
    parts = st.one_of(payloads(*messages).map(pack), lied, st.binary(max_size=100))
    return st.lists(parts, min_size=1, max_size=4).map(b"".join)
