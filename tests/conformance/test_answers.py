"""What an answer is made of: streams, ends, text."""

from __future__ import annotations

from typing import Any

import openai
import pytest
from tests.conformance.ask import END_OF_TURN, complete, pieces, text
from tests.conformance.conftest import Served
from tests.conformance.engines import CONTEXT
from tests.images import part, png


def test_whole_answer(served: Served) -> None:
    """Whole answer with usage"""
    answer = complete(served)
    assert answer.choices[0].text
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 16
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + 16


def test_stream(served: Served) -> None:
    """Streamed answer, the same as the whole one"""
    stream = complete(served, stream=True, stream_options={"include_usage": True})
    chunks = list(stream)
    assert "".join(c.choices[0].text for c in chunks if c.choices) == text(served)
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "length"
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 16


def test_chat(served: Served) -> None:
    """Chat through the model's own template"""
    answer = served.client.chat.completions.create(
        model=served.model,
        messages=[{"role": "user", "content": "What is the capital of France?"}],
        temperature=0,
        max_tokens=24,
    )
    assert answer.choices[0].message.content
    assert answer.usage is not None
    assert answer.usage.prompt_tokens > 20, "a template was put around the message"


def test_sense(served: Served) -> None:
    """SmolLM2 says that the capital of France is Paris"""
    model = served.engine.smollm2_name
    if model is None:
        pytest.skip("SmolLM2 is made in vLLM's environment, which is not here")
    assert "Paris" in text(served, "The capital of France is", max_tokens=4, model=model)


def test_stop_string(served: Served) -> None:
    """Stop string across tokens, never a part of it sent"""
    whole = pieces(served, max_tokens=24)
    told = "".join(whole)
    # The end of one token and the beginning of the next.
    border = len("".join(whole[:6]))
    stop = told[border - 2 : border + 2]
    assert len(stop) == 4
    expected = told[: told.index(stop)]
    assert "".join(pieces(served, max_tokens=24, stop=stop)) == expected
    answer = complete(served, max_tokens=24, stop=stop)
    assert answer.choices[0].text == expected
    assert answer.choices[0].finish_reason == "stop"


def test_stop_token(served: Served) -> None:
    """Stop token ids"""
    wanted = {"logit_bias": {"253": 100}}  # always the same token
    assert complete(served, max_tokens=4, **wanted).choices[0].finish_reason == "length"
    stopped = complete(served, max_tokens=4, **wanted, extra_body={"stop_token_ids": [253]})
    assert stopped.choices[0].finish_reason == "stop"
    assert stopped.usage is not None
    assert stopped.usage.completion_tokens == 1


def test_min_tokens(served: Served) -> None:
    """min_tokens holds back the model's end"""
    ends = {"logit_bias": {str(END_OF_TURN): 100}, "max_tokens": 12}
    ended = complete(served, **ends, extra_body={"ignore_eos": False})
    assert ended.choices[0].finish_reason == "stop"
    assert ended.choices[0].text == ""
    later = complete(served, **ends, extra_body={"ignore_eos": False, "min_tokens": 5})
    assert later.choices[0].finish_reason == "stop"
    assert later.usage is not None
    assert later.usage.completion_tokens == 6
    never = complete(served, **ends)
    assert never.choices[0].finish_reason == "length"


def test_utf8(served: Served) -> None:
    """Whole characters in every delta"""
    wanted = "🙂你好 Ünï"
    constraint = {"structured_outputs": {"choice": [wanted]}, "ignore_eos": False}
    found = pieces(served, max_tokens=40, extra_body=constraint)
    assert "".join(found) == wanted
    assert not any("\N{REPLACEMENT CHARACTER}" in piece for piece in found)
    assert len(found) > 2


def test_several_answers(served: Served) -> None:
    """n answers to a prompt that is computed once"""
    answer = complete(served, n=3, temperature=1, seed=4)
    assert [choice.index for choice in answer.choices] == [0, 1, 2]
    assert len({choice.text for choice in answer.choices}) == 3
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 48
    assert answer.usage.prompt_tokens < 30


def test_truncation(served: Served) -> None:
    """A chat beyond the context is shortened by its oldest turns where it asks for that"""
    words = "river " * 500
    turns = [{"role": role, "content": words} for _ in range(2) for role in ("user", "assistant")]
    messages: Any = [{"role": "system", "content": "Be brief."}, *turns]
    messages += [{"role": "user", "content": "What is the capital of France?"}]
    answer = served.client.chat.completions.create(
        model=served.model,
        messages=messages,
        max_tokens=8,
        extra_body={"truncation": "auto"},
    )
    assert answer.model_extra is not None
    told = answer.model_extra["truncation"]
    assert (told["dropped_messages"], told["dropped_turns"]) == (4, 2)
    assert 2000 < told["dropped_tokens"] < 2100
    assert answer.usage is not None
    assert 20 < answer.usage.prompt_tokens < 100


def test_context_overflow(served: Served) -> None:
    """A prompt beyond the context is refused with both counts"""
    with pytest.raises(openai.BadRequestError, match=str(CONTEXT)) as caught:
        complete(served, "word " * 2 * CONTEXT)
    assert caught.value.code == "context_length_exceeded"
    assert caught.value.param == "prompt"


def test_capabilities(served: Served) -> None:
    """What the engine can do is listed, and what it lacks is refused by name"""
    listed = served.client.models.retrieve(served.model)
    assert listed.model_extra is not None
    capabilities = listed.model_extra["tricorn"]["capabilities"]
    assert {"generate", "constraints", "prompt_logprobs"} <= set(capabilities)
    assert "fill_in_middle" not in capabilities
    with pytest.raises(openai.BadRequestError, match="no tokens to fill") as caught:
        complete(served, suffix=" and then it ends.")
    assert caught.value.code == "unsupported_parameter"
    assert caught.value.param == "suffix"
    assert "vision" not in capabilities
    with pytest.raises(openai.BadRequestError, match="takes no images") as caught:
        served.client.chat.completions.create(
            model=served.model,
            messages=[{"role": "user", "content": [part(png())]}],  # type: ignore[list-item]
        )
    assert caught.value.param == "messages[0].content[0].image_url.url"


def test_end_of_context(served: Served) -> None:
    """An answer ends with the context"""
    answer = complete(served, [253] * (CONTEXT - 6), max_tokens=None)
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage is not None
    assert answer.usage.total_tokens == CONTEXT
