"""Stop strings of answers that have a thought in front, which vLLM does not look for."""

from __future__ import annotations

from tricorn.engines.request import CallMarks, SamplingParams, TokenDelta
from tricorn.engines.vllm.sampling import arguments
from tricorn.engines.vllm.stops import Stops

THINKING = SamplingParams(stop=("\n",), thought=("", "</think>"), n=2)


def test_a_thought_is_not_stopped() -> None:
    """The answer is, and each sequence by itself; what comes after is dropped."""
    stops = Stops(THINKING)
    for index in range(2):
        assert stops.cut(TokenDelta(index, "Hm\n", [1])) == TokenDelta(index, "Hm\n", [1])
    ended = stops.cut(TokenDelta(0, "</think>Yes\nNo", [2]))
    assert ended == TokenDelta(0, "</think>Yes", [2], "stop", "\n")
    assert stops.cut(TokenDelta(0, "more", [3])) is None
    assert not stops.all_ended
    assert stops.cut(TokenDelta(1, "</think>So", [2], "length")) == TokenDelta(
        1, "</think>So", [2], "length"
    )
    assert stops.all_ended


def test_other_requests_are_vllms() -> None:
    """Without a thought vLLM looks for them, and nothing is touched."""
    plain = SamplingParams(stop=("\n",))
    delta = TokenDelta(0, "a\nb", [1])
    assert Stops(plain).cut(delta) is delta
    assert arguments(plain, vocab_size=10)["stop"] == ["\n"]
    assert arguments(THINKING, vocab_size=10)["stop"] == []


def test_control_tokens_are_shown_where_markers_are() -> None:
    """All of them or none."""
    shown = arguments(SamplingParams(shown_tokens=(5,)), vocab_size=10)
    assert (shown["skip_special_tokens"], shown["spaces_between_special_tokens"]) == (False, False)
    assert arguments(SamplingParams(), vocab_size=10)["skip_special_tokens"] is True


def test_a_call_is_not_stopped() -> None:
    """Of a request with tools, vLLM is not told of its stop strings."""
    calling = SamplingParams(stop=("}",), calls=CallMarks(("<c>",), "</c>"))
    stops = Stops(calling)
    assert arguments(calling, vocab_size=10)["stop"] == []
    assert stops.cut(TokenDelta(0, "<c>{}</c>", [1])) == TokenDelta(0, "<c>{}</c>", [1])
    assert stops.cut(TokenDelta(0, "a}b", [2])) == TokenDelta(0, "a", [2], "stop", "}")
