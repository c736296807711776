"""What completions accept, refuse and hand on."""

from __future__ import annotations

from typing import Any

import pytest

from tricorn.errors import InvalidRequest
from tricorn.schemas.completions import CompletionRequest
from tricorn.worker.protocol import FillPrompt, TextPrompt, TokenPrompt


def parse(**fields: Any) -> CompletionRequest:
    return CompletionRequest.parse({"model": "m", "prompt": "x", **fields})[0]


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("a", [TextPrompt("a")]),
        (["a", "b"], [TextPrompt("a"), TextPrompt("b")]),
        ([1, 2], [TokenPrompt([1, 2])]),
        ([[1], [2, 3]], [TokenPrompt([1]), TokenPrompt([2, 3])]),
    ],
)
def test_prompts(prompt: Any, expected: list[Any]) -> None:
    """A string, strings, token ids, or lists of them."""
    assert parse(prompt=prompt).prompts() == expected


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"prompt": None}, "prompt"),
        ({"prompt": 5}, "prompt"),
        ({"prompt": []}, "prompt"),
        ({"prompt": [[]]}, "prompt"),
        ({"prompt": ["a", [1]]}, "prompt"),
        ({"prompt": [1, "a"]}, "prompt"),
        ({"prompt": [True]}, "prompt"),
        ({"prompt": [-1]}, "prompt"),
        ({"prompt": ["x"] * 129}, "prompt"),
        ({"logprobs": 6}, "logprobs"),
        ({"logprobs": True}, "logprobs"),
        ({"max_tokens": -1}, "max_tokens"),
        ({"echo": "yes"}, "echo"),
        ({"best_of": 0}, "best_of"),
        ({"best_of": 2, "n": 3}, "best_of"),
        ({"best_of": 2, "stream": True}, "best_of"),
        ({"suffix": 5}, "suffix"),
        ({"suffix": "x", "echo": True}, "echo"),
        ({"prompt_logprobs": -1}, "prompt_logprobs"),
        ({"prompt_logprobs": 21}, "prompt_logprobs"),
        ({"prompt_logprobs": 0, "stream": True}, "prompt_logprobs"),
    ],
)
def test_invalid(fields: dict[str, Any], param: str) -> None:
    """400 invalid_value that names the field."""
    with pytest.raises(InvalidRequest) as caught:
        parse(**fields)
    assert caught.value.param == param


def test_a_gap() -> None:
    """With a suffix every prompt is what stands before it; without one, or an empty one, it is
    a prompt like any."""
    assert parse(suffix="b").prompts() == [FillPrompt("x", "b")]
    assert parse(prompt=[[1], [2]], suffix="b").prompts() == [
        FillPrompt([1], "b"),
        FillPrompt([2], "b"),
    ]
    assert parse(suffix="").prompts() == [TextPrompt("x")]


def test_best_of_is_ranked_by_logprobs() -> None:
    """So they are computed; but not where nothing is chosen."""
    assert (parse(best_of=3).sampling().n, parse(best_of=3).sampling().logprobs) == (3, 0)
    assert parse(best_of=3, logprobs=2).sampling().logprobs == 2
    same = parse(best_of=2, n=2, stream=True).sampling()
    assert (same.n, same.logprobs) == (2, None)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, None),
        ({"echo": True}, None),
        ({"logprobs": 2}, None),
        ({"echo": True, "logprobs": 0}, 0),
        ({"prompt_logprobs": 0}, 0),
        ({"echo": True, "logprobs": 1, "prompt_logprobs": 3}, 3),
        ({"echo": True, "logprobs": 4, "prompt_logprobs": 3}, 4),
    ],
)
def test_whose_logprobs_the_engine_is_asked_for(fields: dict[str, Any], expected: Any) -> None:
    """Those of the prompt where it is repeated with logprobs, or where vLLM's field says so."""
    assert parse(**fields).prompt_logprob_count() == expected


def test_defaults() -> None:
    """OpenAI's 16 tokens, no logprobs; best_of may equal n; suffix may be empty."""
    request = parse(best_of=2, n=2, suffix="", max_tokens=None)
    assert request.sampling().max_tokens == 16
    assert request.sampling().logprobs is None
    assert parse(max_tokens=0, echo=True).sampling().max_tokens == 0
    assert parse(logprobs=0).sampling().logprobs == 0


def test_chat_fields_are_unknown_here() -> None:
    """A field of the other route is reported like any that nobody knows."""
    assert CompletionRequest.parse({"model": "m", "prompt": "x", "messages": []})[1] == ["messages"]
