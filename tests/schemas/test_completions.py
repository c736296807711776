"""What completions accept, refuse and hand on."""

from __future__ import annotations

from typing import Any

import pytest

from tricorn.errors import InvalidRequest, UnsupportedParameter
from tricorn.schemas.completions import CompletionRequest
from tricorn.worker.protocol import TextPrompt, TokenPrompt


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
    ],
)
def test_invalid(fields: dict[str, Any], param: str) -> None:
    """400 invalid_value that names the field."""
    with pytest.raises(InvalidRequest) as caught:
        parse(**fields)
    assert caught.value.param == param


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"suffix": "x"}, "suffix"),
        ({"best_of": 2}, "best_of"),
        ({"echo": True, "logprobs": 0}, "echo"),
    ],
)
def test_unsupported(fields: dict[str, Any], param: str) -> None:
    """400 unsupported_parameter that names the field."""
    with pytest.raises(UnsupportedParameter) as caught:
        parse(**fields)
    assert caught.value.param == param


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
