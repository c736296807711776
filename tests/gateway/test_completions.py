"""What only the older completions route can do, through OpenAI's own client."""

from __future__ import annotations

from typing import Any

import openai
import pytest


def score(sdk: openai.OpenAI, prompt: Any = "abc", **options: Any) -> Any:
    options = {"model": "hello", "max_tokens": 0, "echo": True, "logprobs": 1} | options
    return sdk.completions.create(prompt=prompt, **options)


def test_scoring(sdk: openai.OpenAI) -> None:
    """Echo with logprobs and no answer: the prompt's tokens and how likely they are."""
    [choice] = score(sdk).choices
    assert (choice.text, choice.finish_reason) == ("abc", "length")
    assert choice.logprobs.tokens == ["a", "b", "c"]
    assert choice.logprobs.token_logprobs == [None, pytest.approx(-0.1), pytest.approx(-0.1)]
    assert choice.logprobs.top_logprobs == [None, {"b": -0.1}, {"c": -0.1}]
    assert choice.logprobs.text_offset == [0, 1, 2]


def test_scoring_of_several_prompts(sdk: openai.OpenAI) -> None:
    """Each choice has its own prompt; token ids are prompts too."""
    choices = score(sdk, [list(b"ab"), list(b"xyz")], max_tokens=1, logprobs=2).choices
    assert [choice.text for choice in choices] == ["abH", "xyzH"]
    assert [choice.logprobs.tokens for choice in choices] == [["a", "b", "H"], list("xyzH")]
    assert choices[1].logprobs.top_logprobs[1] == {"y": -0.1, "z": -1.0}
    assert choices[1].logprobs.text_offset == [0, 1, 2, 3]


def test_scoring_in_a_stream(sdk: openai.OpenAI) -> None:
    """The prompt with its logprobs comes first, then the answer."""
    chunks = list(score(sdk, max_tokens=2, stream=True))
    first, *others = [chunk.choices[0] for chunk in chunks]
    assert first.text == "abc"
    assert first.logprobs.token_logprobs == [None, pytest.approx(-0.1), pytest.approx(-0.1)]
    assert [choice.logprobs.text_offset for choice in others if choice.logprobs] == [[3], [4]]
    assert "".join(choice.text for choice in others) == "He"


def test_vllms_prompt_logprobs(sdk: openai.OpenAI) -> None:
    """On both routes, in vLLM's places, with as many alternatives as each field asks for."""
    extra = {"prompt_logprobs": 2}
    [choice] = score(sdk, extra_body=extra).choices
    assert choice.logprobs.top_logprobs[1] == {"b": -0.1}
    none, second, _ = choice.to_dict()["prompt_logprobs"]
    assert none is None
    assert second == {
        "98": {"logprob": -0.1, "rank": 1, "decoded_token": "b"},
        "99": {"logprob": -1.0, "rank": 2, "decoded_token": "c"},
    }
    chat = sdk.chat.completions.create(
        model="hello", messages=[{"role": "user", "content": "x"}], extra_body=extra
    )
    found = chat.to_dict()["prompt_logprobs"]
    assert isinstance(found, list)
    assert len(found) == chat.usage.prompt_tokens  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("options", "param"),
    [
        ({}, "echo"),
        ({"echo": False, "extra_body": {"prompt_logprobs": 0}}, "prompt_logprobs"),
    ],
)
def test_an_engine_that_cannot(sdk: openai.OpenAI, options: dict[str, Any], param: str) -> None:
    """400 that names the field."""
    with pytest.raises(openai.BadRequestError, match="not supported") as caught:
        score(sdk, model="mute", **options)
    assert (caught.value.code, caught.value.param) == ("unsupported_parameter", param)
    assert score(sdk, model="mute", logprobs=None).choices[0].text == "abc"


def test_best_of(sdk: openai.OpenAI) -> None:
    """The best n are given, without logprobs that nobody asked for, and all are counted."""
    answer = sdk.completions.create(model="echo", prompt="hey", best_of=3, n=2)
    assert [choice.index for choice in answer.choices] == [0, 1]
    assert [choice.logprobs for choice in answer.choices] == [None, None]
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 3 * len("hey$")
    assert answer.usage.prompt_tokens == 3


def test_suffix(sdk: openai.OpenAI) -> None:
    """The model sees what stands before and behind the gap."""
    answer = sdk.completions.create(model="gap", prompt="before", suffix=", behind", max_tokens=50)
    assert answer.choices[0].text == "before, behind"
    assert answer.usage is not None
    assert answer.usage.prompt_tokens == len("before, behind") + 3


def test_suffix_without_the_tokens_for_it(sdk: openai.OpenAI) -> None:
    """400 that names the field and says why; an empty one asks for nothing."""
    with pytest.raises(openai.BadRequestError, match="no tokens to fill") as caught:
        sdk.completions.create(model="echo", prompt="before", suffix="behind")
    assert (caught.value.code, caught.value.param) == ("unsupported_parameter", "suffix")
    assert sdk.completions.create(model="echo", prompt="x", suffix="").choices[0].text == "x"
