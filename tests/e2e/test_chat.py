"""Answers of SmolLM2 through OpenAI's client: what is said, how it ends, what it is made of."""

from __future__ import annotations

import math
from typing import Any

import openai
import pytest
from openai.types.chat import ChatCompletion
from tests.e2e.server import MODEL, user

pytestmark = pytest.mark.timeout(180)

FRANCE = user("Name the capital of France.")
STORY = user("Tell me a story.")
LONG_TEXT = " ".join(f"Item {number} lies in drawer {number * 7}." for number in range(25))


def chat(client: openai.OpenAI, messages: Any, **options: Any) -> ChatCompletion:
    """A whole answer, greedy and short unless the test says otherwise."""
    options = {"temperature": 0, "max_tokens": 24} | options
    return client.chat.completions.create(model=MODEL, messages=messages, **options)


def text_of(answer: ChatCompletion, choice: int = 0) -> str:
    content = answer.choices[choice].message.content
    assert content is not None
    return content


def streamed(client: openai.OpenAI, messages: Any, **options: Any) -> list[Any]:
    """The chunks of a stream."""
    options = {"temperature": 0, "max_tokens": 24, "stream": True} | options
    return list(client.chat.completions.create(model=MODEL, messages=messages, **options))


def text_in(chunks: list[Any]) -> str:
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


def cached(answer: ChatCompletion) -> int:
    assert answer.usage is not None
    details = answer.usage.prompt_tokens_details
    assert details is not None
    return details.cached_tokens or 0


def first_logprob(answer: ChatCompletion) -> float:
    logprobs = answer.choices[0].logprobs
    assert logprobs is not None
    assert logprobs.content
    return logprobs.content[0].logprob


# --- what is said -------------------------------------------------------------------------------


def test_capital_of_france(client: openai.OpenAI) -> None:
    """The model's weights, template and greedy sampling are right: it knows Paris."""
    answer = chat(client, FRANCE)
    assert "Paris" in text_of(answer)
    assert answer.model == MODEL
    assert answer.object == "chat.completion"
    assert answer.choices[0].message.role == "assistant"


def test_stream_says_the_same(client: openai.OpenAI) -> None:
    """A greedy stream gives the text of the whole answer: role first, then its end, then usage."""
    whole = chat(client, FRANCE)
    chunks = streamed(client, FRANCE, stream_options={"include_usage": True})
    assert text_in(chunks) == text_of(whole)
    assert chunks[0].choices[0].delta.role == "assistant"
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == (
        whole.choices[0].finish_reason
    )
    assert chunks[-1].choices == []
    assert whole.usage is not None
    assert chunks[-1].usage.prompt_tokens == whole.usage.prompt_tokens
    assert chunks[-1].usage.completion_tokens == whole.usage.completion_tokens
    assert len({chunk.id for chunk in chunks}) == 1


def test_stream_without_usage(client: openai.OpenAI) -> None:
    """Usage comes in a stream only when it is asked for."""
    assert all(chunk.usage is None for chunk in streamed(client, FRANCE, max_tokens=3))


@pytest.mark.parametrize(("limit", "reason"), [(2, "length"), (200, "stop")])
def test_finish_reasons(client: openai.OpenAI, limit: int, reason: str) -> None:
    """`length` at the limit, `stop` where the model ends by itself."""
    answer = chat(client, FRANCE, max_completion_tokens=limit, max_tokens=None)
    assert answer.choices[0].finish_reason == reason
    assert answer.usage is not None
    assert (answer.usage.completion_tokens == limit) == (reason == "length")


def test_roles_and_parts(client: openai.OpenAI) -> None:
    """A developer message is a system message, text parts are their text."""
    plain = [{"role": "system", "content": "You are a pirate."}, *FRANCE]
    parts = [
        {"role": "developer", "content": [{"type": "text", "text": "You are a pirate."}]},
        {"role": "user", "content": [{"type": "text", "text": FRANCE[0]["content"]}]},
    ]
    one, other = chat(client, plain), chat(client, parts)
    assert text_of(one) == text_of(other)
    assert one.usage is not None
    assert other.usage is not None
    assert one.usage.prompt_tokens == other.usage.prompt_tokens


# --- how tokens are chosen ----------------------------------------------------------------------


def test_seed(client: openai.OpenAI) -> None:
    """The same seed gives the same answer, another seed another one, and each of n its own."""
    options: dict[str, Any] = {"temperature": 1, "max_tokens": 16, "n": 3}
    # A prompt's logits differ in the last digits when they are computed in one step or after a
    # cached prefix: let both answers begin from the cache.
    chat(client, STORY, max_tokens=1)
    first = chat(client, STORY, seed=7, **options)
    again = chat(client, STORY, seed=7, **options)
    other = chat(client, STORY, seed=1007, **options)
    texts = [text_of(first, choice) for choice in range(3)]
    assert [choice.index for choice in first.choices] == [0, 1, 2]
    assert len(set(texts)) == 3
    assert texts == [text_of(again, choice) for choice in range(3)]
    assert not set(texts) & {text_of(other, choice) for choice in range(3)}
    assert first.usage is not None
    assert first.usage.completion_tokens == 48


def test_stream_of_n(client: openai.OpenAI) -> None:
    """Three greedy answers in one stream: equal, each with its own end."""
    chunks = streamed(client, FRANCE, n=3, max_tokens=12)
    texts, ends = ["", "", ""], [0, 0, 0]
    for chunk in chunks:
        for choice in chunk.choices:
            texts[choice.index] += choice.delta.content or ""
            ends[choice.index] += choice.finish_reason is not None
    assert ends == [1, 1, 1]
    assert all("Paris" in text for text in texts)


@pytest.mark.parametrize("stop", ["Paris", " is Paris", "ital of Fra", ["xyz", "ris"]])
def test_stop_strings(client: openai.OpenAI, stop: str | list[str]) -> None:
    """A stop string ends the answer, and no part of it is seen, streaming or not."""
    full = text_of(chat(client, FRANCE))
    stops = [stop] if isinstance(stop, str) else stop
    hit = next(text for text in stops if text in full)
    wanted = full[: full.index(hit)]
    answer = chat(client, FRANCE, stop=stop)
    assert text_of(answer) == wanted
    assert answer.choices[0].finish_reason == "stop"
    assert text_in(streamed(client, FRANCE, stop=stop)) == wanted


def test_stop_string_that_does_not_come(client: openai.OpenAI) -> None:
    """Text that only looks like the beginning of a stop string is given after all."""
    full = text_of(chat(client, FRANCE))
    assert text_in(streamed(client, FRANCE, stop="Paris, Texas")) == full


def test_logit_bias(client: openai.OpenAI) -> None:
    """A bias of 100 forces a token."""
    answer = chat(client, FRANCE, logit_bias={"1000": 100}, max_tokens=4, logprobs=True)
    assert answer.choices[0].logprobs is not None
    tokens = [entry.token for entry in answer.choices[0].logprobs.content or []]
    assert len(tokens) == 4
    assert len(set(tokens)) == 1


@pytest.mark.parametrize(
    "penalty",
    [{"frequency_penalty": 2}, {"presence_penalty": 2}, {"extra_body": {"repetition_penalty": 2}}],
)
def test_penalties(client: openai.OpenAI, penalty: dict[str, Any]) -> None:
    """Each penalty breaks the loop that a choice of twenty tokens makes of an answer."""
    bias = {str(1000 + 7 * number): 60 for number in range(20)}

    def tokens(**options: Any) -> list[str]:
        answer = chat(client, FRANCE, logit_bias=bias, max_tokens=20, logprobs=True, **options)
        assert answer.choices[0].logprobs is not None
        return [entry.token for entry in answer.choices[0].logprobs.content or []]

    usual, penalised = tokens(), tokens(**penalty)
    assert penalised != usual
    assert len(set(penalised)) >= len(set(usual))


def test_min_tokens(client: openai.OpenAI) -> None:
    """The model's own end is put off until `min_tokens` have come."""
    usual = chat(client, FRANCE).usage
    longer = chat(client, FRANCE, extra_body={"min_tokens": 20}).usage
    assert usual is not None
    assert longer is not None
    assert usual.completion_tokens < 20 <= longer.completion_tokens


# --- logprobs -----------------------------------------------------------------------------------


def test_logprobs(client: openai.OpenAI) -> None:
    """Under greedy the chosen token is the likeliest; bytes spell the text; sums make sense."""
    answer = chat(client, FRANCE, logprobs=True, top_logprobs=5)
    assert answer.choices[0].logprobs is not None
    entries = answer.choices[0].logprobs.content or []
    assert b"".join(bytes(entry.bytes or []) for entry in entries).decode() == text_of(answer)
    for entry in entries:
        values = [top.logprob for top in entry.top_logprobs]
        assert len(values) == 5
        assert values == sorted(values, reverse=True)
        assert entry.token == entry.top_logprobs[0].token
        assert entry.logprob == pytest.approx(values[0])
        assert 0 < math.fsum(map(math.exp, values)) <= 1.0001


def test_logprobs_in_stream(client: openai.OpenAI) -> None:
    """A stream carries the logprobs of the same tokens."""
    whole = chat(client, FRANCE, logprobs=True, max_tokens=8).choices[0].logprobs
    assert whole is not None
    chunks = streamed(client, FRANCE, logprobs=True, max_tokens=8)
    tokens = [
        entry.token
        for chunk in chunks
        if chunk.choices and chunk.choices[0].logprobs
        for entry in chunk.choices[0].logprobs.content
    ]
    assert tokens == [entry.token for entry in whole.content or []]


# --- text ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["😀🦄🌈👩‍👩‍👧 " * 3, "你好，世界。今天天气很好。" * 2])
def test_no_broken_characters(client: openai.OpenAI, text: str) -> None:
    """Emoji and Chinese are made of many tokens each; no delta has half a character."""
    prompt = text + text[: len(text) // 2]
    chunks = list(
        client.completions.create(
            model=MODEL, prompt=prompt, max_tokens=30, temperature=0, stream=True
        )
    )
    texts = [chunk.choices[0].text for chunk in chunks if chunk.choices]
    # The last may show a character that the limit cut in two.
    assert not any("\ufffd" in text for text in texts[:-2])
    assert any(ord(character) > 255 for text in texts for character in text)


def test_completion(client: openai.OpenAI) -> None:
    """A plain prompt is continued, not answered; `echo` puts it in front."""
    prompt = "The capital of France is"
    answer = client.completions.create(model=MODEL, prompt=prompt, max_tokens=6, temperature=0)
    echoed = client.completions.create(
        model=MODEL, prompt=prompt, max_tokens=6, temperature=0, echo=True
    )
    assert "Paris" in answer.choices[0].text
    assert echoed.choices[0].text == prompt + answer.choices[0].text


# --- prefix cache -------------------------------------------------------------------------------


def test_second_time_is_cached(client: openai.OpenAI) -> None:
    """A long prompt that comes again is taken from the cache, all but its last token."""
    messages = user(f"{LONG_TEXT} Where is item 3?")
    options: dict[str, Any] = {"max_tokens": 4, "logprobs": True}
    first, second, third = (chat(client, messages, **options) for _ in range(3))
    assert cached(first) < 100
    assert second.usage is not None
    assert cached(second) == cached(third) == second.usage.prompt_tokens - 1
    assert text_of(second) == text_of(third)
    # A token computed alone and one computed in a batch differ a little in floating point.
    assert first_logprob(first) == pytest.approx(first_logprob(second), abs=0.5)


def test_next_turn_is_cached(client: openai.OpenAI) -> None:
    """A conversation's next turn finds the turns before it, the answer included."""
    messages = user(f"{LONG_TEXT} Where is item 4?")
    first = chat(client, messages, max_tokens=40)
    assert first.usage is not None
    messages += [{"role": "assistant", "content": text_of(first)}, *user("And item 5?")]
    second = chat(client, messages, max_tokens=4)
    assert cached(second) > first.usage.prompt_tokens


def test_cached_beside_others(client: openai.OpenAI) -> None:
    """A prefix that made room for another request comes back, and means the same."""
    messages = user(f"{LONG_TEXT} Where is item 6?")
    options: dict[str, Any] = {"max_tokens": 8, "logprobs": True}
    first = chat(client, messages, **options)
    chat(client, user("Name a river."), max_tokens=4)
    again = chat(client, messages, **options)
    assert again.usage is not None
    assert cached(again) == again.usage.prompt_tokens - 1
    assert text_of(again) == text_of(first)
    assert first_logprob(again) == pytest.approx(first_logprob(first), abs=0.5)


# --- what is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True])
def test_prompt_beyond_context(client: openai.OpenAI, stream: bool) -> None:
    """400 with both counts, streaming or not."""
    with pytest.raises(openai.BadRequestError, match=r"8192 tokens.* \d{5} tokens") as caught:
        chat(client, user("word " * 12000), stream=stream)
    assert caught.value.code == "context_length_exceeded"
    assert caught.value.param == "messages"


def test_unknown_model(client: openai.OpenAI) -> None:
    """404 that names the models there are."""
    with pytest.raises(openai.NotFoundError, match=MODEL) as caught:
        client.chat.completions.create(model="gpt-9", messages=FRANCE)
    assert caught.value.code == "model_not_found"


def test_unknown_token_in_logit_bias(client: openai.OpenAI) -> None:
    """400 for a token that this model does not have."""
    with pytest.raises(openai.BadRequestError) as caught:
        chat(client, FRANCE, logit_bias={"99999999": 1})
    assert caught.value.param == "logit_bias"
