"""vLLM's outputs to token deltas."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

from tricorn.engines.request import (
    GenerateRequest,
    SamplingParams,
    TokenDelta,
    TokenLogprob,
    Waited,
)
from tricorn.engines.vllm.outputs import OutputReader
from tricorn.engines.vllm.tokens import TokenBytes
from tricorn.errors import EngineGenerateError

TOKENS = TokenBytes("abcdef".__getitem__, added={}, control=[5], byte_level=True)


@dataclass
class Logprob:
    logprob: float
    rank: int | None = None


@dataclass
class Completion:
    text: str = ""
    token_ids: list[int] = field(default_factory=list)
    finish_reason: str | None = None
    stop_reason: int | str | None = None
    logprobs: list[Mapping[int, Logprob]] | None = None
    index: int = 0


@dataclass
class Times:
    queued_ts: float = 0.0
    scheduled_ts: float = 0.0


@dataclass
class Output:
    outputs: list[Completion]
    num_cached_tokens: int | None = None
    prompt_token_ids: list[int] | None = None
    prompt_logprobs: list[Mapping[int, Logprob] | None] | None = None
    metrics: Times | None = None


def reader(**sampling: object) -> OutputReader:
    return OutputReader(GenerateRequest("r", [1], SamplingParams(**sampling)), TOKENS)  # type: ignore[arg-type]


def read(reader: OutputReader, *completions: Completion, cached: int = 0) -> list[TokenDelta]:
    return list(reader.read(Output(list(completions), cached)))


def test_a_stream() -> None:
    """Text and tokens as they come; the cached tokens once a sequence; then how it ended."""
    read_by = reader(n=2, seed=1)
    assert read(read_by, Completion("a", [0]), Completion("b", [1], index=1), cached=16) == [
        TokenDelta(0, "a", [0], cached_tokens=16),
        TokenDelta(1, "b", [1], cached_tokens=16),
    ]
    assert read(read_by, Completion("c", [2], "length"), cached=16) == [
        TokenDelta(0, "c", [2], "length")
    ]


def test_how_long_it_waited() -> None:
    """Where that is wanted; the first output tells it, and none later."""
    waited = Waited()
    request = GenerateRequest("r", [1], SamplingParams(), waited=waited)
    read_by = OutputReader(request, TOKENS)
    for scheduled in (12.5, 20.0):
        output = Output([Completion("a", [0])], metrics=Times(10.0, scheduled))
        assert len(list(read_by.read(output))) == 1
    assert waited.seconds == 2.5


def test_why_it_stopped() -> None:
    """The stop string or the id that was asked for; nothing for the model's own end."""
    read_by = reader(stop=("x",), stop_token_ids=(3,))
    reasons = ["x", 3, 4, None]
    deltas = [read(read_by, Completion(finish_reason="stop", stop_reason=r))[0] for r in reasons]
    assert [delta.stop_reason for delta in deltas] == ["x", 3, None, None]
    assert {delta.finish_reason for delta in deltas} == {"stop"}


def test_prefill_only() -> None:
    """The token that vLLM cannot do without is dropped, for each sequence."""
    completion = Completion("a", [0], "length", logprobs=[{0: Logprob(-1.0)}])
    assert read(reader(max_tokens=0, n=2, logprobs=1), completion, cached=4) == [
        TokenDelta(0, "", [], "length", cached_tokens=4),
        TokenDelta(1, "", [], "length", cached_tokens=4),
    ]


def test_equal_sequences_get_one_result() -> None:
    """A greedy request's sequences are all the same."""
    read_by = reader(temperature=0, n=2)
    assert [delta.index for delta in read(read_by, Completion("a", [0]))] == [0, 1]
    assert [delta.text for delta in read(read_by, Completion("b", [1], "stop"))] == ["b", "b"]


def test_logprobs() -> None:
    """The chosen token's, and the likeliest tokens' best first, with or without the chosen one."""
    unlikely = {3: Logprob(-9.0), 1: Logprob(-1.0), 0: Logprob(-0.5)}
    likely = {1: Logprob(-0.7), 0: Logprob(-0.6)}
    (delta,) = read(reader(logprobs=2), Completion("db", [3, 1], logprobs=[unlikely, likely]))
    assert delta.logprobs is not None
    first, second = delta.logprobs
    assert (first.token, first.token_id, first.logprob) == (b"d", 3, -9.0)
    assert [(t.token, t.logprob) for t in first.top] == [(b"a", -0.5), (b"b", -1.0)]
    assert [(t.token_id, t.logprob) for t in second.top] == [(0, -0.6), (1, -0.7)]


def test_logprobs_without_alternatives() -> None:
    """logprobs=0 asks for the chosen token's alone; a control token has no text."""
    (delta,) = read(reader(logprobs=0), Completion("", [5], logprobs=[{5: Logprob(-2.0)}]))
    assert delta.logprobs is not None
    assert (delta.logprobs[0].token, delta.logprobs[0].top) == (b"", [])


def test_no_logprobs_unless_asked() -> None:
    """Whatever vLLM gives."""
    (delta,) = read(reader(), Completion("a", [0], logprobs=[{0: Logprob(-1.0)}]))
    assert delta.logprobs is None


def test_a_sequence_that_vllm_gave_up() -> None:
    """Is an error of this request, not an end."""
    with pytest.raises(EngineGenerateError, match="abort"):
        read(reader(), Completion(finish_reason="abort"))


@pytest.mark.parametrize("max_tokens", [0, 4])
def test_prompt_logprobs(max_tokens: int) -> None:
    """With the very first delta, from the second token on; control tokens by name, with ranks."""
    sampling = SamplingParams(n=2, seed=1, max_tokens=max_tokens)
    read_by = OutputReader(GenerateRequest("r", [0, 1, 5], sampling, prompt_logprobs=1), TOKENS)
    known: list[Mapping[int, Logprob] | None] = [
        None,
        {1: Logprob(-2.0, 3), 0: Logprob(-0.5, 1)},
        {5: Logprob(-0.25, 1)},
    ]
    # Without an answer vLLM computes one sequence, whatever n is.
    completions = [Completion("a", [0]), Completion("b", [1], index=1)][: 2 if max_tokens else 1]
    first, second = read_by.read(Output(completions, 0, [0, 1, 5], known))
    assert first.prompt_logprobs == [
        TokenLogprob(b"b", -2.0, 1, [TokenLogprob(b"a", -0.5, 0)], 3),
        TokenLogprob(b"f", -0.25, 5, [TokenLogprob(b"f", -0.25, 5)], 1),
    ]
    assert second.prompt_logprobs is None
    later = read_by.read(Output([Completion("c", [2])], 0, [0, 1, 5], []))
    assert all(delta.prompt_logprobs is None for delta in later)


def test_no_prompt_logprobs_unasked() -> None:
    """And none of a prompt with a single token: an empty list."""
    [delta] = reader().read(Output([Completion("a", [0])], 0, [1], None))
    assert delta.prompt_logprobs is None
    request = GenerateRequest("r", [1], SamplingParams(), prompt_logprobs=0)
    [delta] = OutputReader(request, TOKENS).read(Output([Completion("a", [0])], 0, [1], [None]))
    assert delta.prompt_logprobs == []
