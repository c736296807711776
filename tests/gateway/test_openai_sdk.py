"""OpenAI's own client against the gateway, in this process, with a real engine worker behind it."""

from __future__ import annotations

from typing import Any

import openai
import pytest
from tests.gateway.engines import FakeManager

USER = [{"role": "user", "content": "Hello there"}]


def test_chat_answers_whole(sdk: openai.OpenAI, manager: FakeManager) -> None:
    """A chat completion has OpenAI's shape, and its lease is given back."""
    answer = sdk.chat.completions.create(model="echo", messages=USER)  # type: ignore[call-overload]

    assert answer.object == "chat.completion"
    assert answer.id.startswith("chatcmpl-")
    assert answer.model == "echo"
    assert answer.system_fingerprint.startswith("fp_")
    [choice] = answer.choices
    assert choice.message.content == "Hello there"
    assert choice.message.role == "assistant"
    assert choice.finish_reason == "stop"
    assert answer.usage.prompt_tokens == len("user: Hello there\nassistant: ")
    assert answer.usage.completion_tokens == len("Hello there") + 1
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    assert answer.usage.prompt_tokens_details.cached_tokens == 0
    assert manager.leased == 0


def test_chat_streams(sdk: openai.OpenAI) -> None:
    """A stream begins with the role, ends with the reason, and never splits a character."""
    chunks = list(
        sdk.chat.completions.create(model="hello", messages=USER, stream=True)  # type: ignore[call-overload]
    )

    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[0].choices[0].delta.content == ""
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert all(chunk.usage is None for chunk in chunks)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert text == "Hello, 世界! 👋"
    assert len({chunk.id for chunk in chunks}) == 1


def test_a_stream_loses_nothing(sdk: openai.OpenAI) -> None:
    """Tokens that pile up, more than go out in one write, all arrive."""
    text = "".join(f"{number}, " for number in range(100))
    for _ in range(5):
        chunks = sdk.chat.completions.create(
            model="echo",
            messages=[{"role": "user", "content": text}],
            stream=True,
        )
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == text


def test_stream_with_usage(sdk: openai.OpenAI) -> None:
    """include_usage adds one last chunk that has no choices."""
    chunks = list(
        sdk.chat.completions.create(
            model="echo",
            messages=USER,  # type: ignore[arg-type]
            stream=True,
            stream_options={"include_usage": True},
        )
    )

    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 12
    assert all(chunk.usage is None for chunk in chunks[:-1])


def test_logprobs(sdk: openai.OpenAI) -> None:
    """Every token of the answer comes with its probability, its bytes and the alternatives."""
    answer = sdk.chat.completions.create(
        model="hello",
        messages=USER,
        logprobs=True,
        top_logprobs=2,  # type: ignore[arg-type]
    )

    logprobs = answer.choices[0].logprobs
    assert logprobs is not None
    assert logprobs.content is not None
    heard = b"".join(bytes(entry.bytes or []) for entry in logprobs.content)
    assert heard.decode() == answer.choices[0].message.content
    assert logprobs.content[0].token == "H"
    assert logprobs.content[0].logprob == pytest.approx(-0.1)
    assert [len(entry.top_logprobs) for entry in logprobs.content] == [2] * len(heard)


def test_n_gives_choices(sdk: openai.OpenAI) -> None:
    """n=3: three choices, the prompt counted once, whole and streaming."""
    answer = sdk.chat.completions.create(model="echo", messages=USER, n=3)  # type: ignore[arg-type]
    assert [choice.index for choice in answer.choices] == [0, 1, 2]
    assert {choice.message.content for choice in answer.choices} == {"Hello there"}
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 3 * 12

    texts = ["", "", ""]
    for chunk in sdk.chat.completions.create(model="echo", messages=USER, n=3, stream=True):  # type: ignore[arg-type]
        texts[chunk.choices[0].index] += chunk.choices[0].delta.content or ""
    assert texts == ["Hello there"] * 3


def test_stop_and_max_tokens(sdk: openai.OpenAI) -> None:
    """A stop string ends the answer without showing; max_tokens gives finish_reason length."""
    stopped = sdk.chat.completions.create(model="echo", messages=USER, stop=["the"])  # type: ignore[arg-type]
    assert stopped.choices[0].message.content == "Hello "
    assert stopped.choices[0].finish_reason == "stop"

    cut = sdk.chat.completions.create(model="echo", messages=USER, max_completion_tokens=4)  # type: ignore[arg-type]
    assert cut.choices[0].message.content == "Hell"
    assert cut.choices[0].finish_reason == "length"


def test_completions(sdk: openai.OpenAI) -> None:
    """Strings, several strings and token ids; 16 tokens unless told otherwise."""
    one = sdk.completions.create(model="echo", prompt="abc")
    assert one.object == "text_completion"
    assert one.id.startswith("cmpl-")
    assert one.choices[0].text == "abc"

    two = sdk.completions.create(model="echo", prompt=["abc", "def"], n=2)
    assert [(c.index, c.text) for c in two.choices] == [
        (0, "abc"), (1, "abc"), (2, "def"), (3, "def"),
    ]  # fmt: skip
    assert two.usage is not None
    assert two.usage.prompt_tokens == 6

    ids = sdk.completions.create(model="echo", prompt=[97, 98])
    assert ids.choices[0].text == "ab"
    assert sdk.completions.create(model="endless", prompt="x").usage.completion_tokens == 16  # type: ignore[union-attr]


def test_echo(sdk: openai.OpenAI) -> None:
    """echo puts the prompt in front, of text and of token ids, whole and streaming."""
    assert sdk.completions.create(model="echo", prompt="abc", echo=True).choices[0].text == "abcabc"
    tokens = sdk.completions.create(model="echo", prompt=[97, 98], echo=True, max_tokens=0)
    assert tokens.choices[0].text == "ab"
    stream = sdk.completions.create(model="echo", prompt="abc", echo=True, stream=True)
    assert "".join(chunk.choices[0].text for chunk in stream) == "abcabc"


def test_legacy_logprobs(sdk: openai.OpenAI) -> None:
    """Completions give tokens, probabilities, alternatives and offsets, also in a stream."""
    whole = sdk.completions.create(model="hello", prompt="x", logprobs=2, max_tokens=50)
    logprobs = whole.choices[0].logprobs
    assert logprobs is not None
    assert logprobs.tokens is not None
    assert logprobs.text_offset is not None
    assert logprobs.tokens[:2] == ["H", "e"]
    assert logprobs.tokens[7] == "bytes:\\xe4"
    assert logprobs.text_offset[:11] == [0, 1, 2, 3, 4, 5, 6, 7, 7, 7, 8]

    offsets: list[int] = []
    for chunk in sdk.completions.create(
        model="hello", prompt="x", logprobs=2, max_tokens=50, stream=True
    ):
        if chunk.choices[0].logprobs:
            offsets += chunk.choices[0].logprobs.text_offset or []
    assert offsets == logprobs.text_offset


def test_models(sdk: openai.OpenAI) -> None:
    """The list and one of it, by an id that may contain slashes."""
    assert {"echo", "hello"} <= {model.id for model in sdk.models.list()}
    assert sdk.models.retrieve("echo").id == "echo"
    with pytest.raises(openai.NotFoundError, match="There are: echo"):
        sdk.models.retrieve("org/unknown")


def test_model_tells_what_its_engine_can_do(sdk: openai.OpenAI, manager: FakeManager) -> None:
    """Beyond OpenAI's fields, once it has been loaded."""
    manager.worker("echo")
    extra = sdk.models.retrieve("echo").model_extra
    assert extra is not None
    assert extra["tricorn"]["capabilities"] == ["generate", "prompt_logprobs", "thinking_budget"]


def test_unknown_model_is_not_found(sdk: openai.OpenAI) -> None:
    """404 model_not_found that names the models there are."""
    with pytest.raises(openai.NotFoundError) as caught:
        sdk.chat.completions.create(model="nope", messages=USER)  # type: ignore[arg-type]
    assert caught.value.code == "model_not_found"
    assert caught.value.param == "model"
    assert "echo" in caught.value.message


def test_early_failures_keep_their_status(sdk: openai.OpenAI) -> None:
    """A stream that fails before its first token is a plain HTTP error."""
    with pytest.raises(openai.BadRequestError) as caught:
        sdk.chat.completions.create(
            model="echo", messages=[{"role": "user", "content": "x" * 5000}], stream=True
        )
    assert caught.value.code == "context_length_exceeded"
    assert "4096" in caught.value.message


def test_bad_request_names_the_parameter(sdk: openai.OpenAI) -> None:
    """Ranges and unsupported parameters are 400 with `param`."""
    with pytest.raises(openai.BadRequestError) as caught:
        sdk.chat.completions.create(model="echo", messages=USER, temperature=3)  # type: ignore[arg-type]
    assert caught.value.param == "temperature"
    with pytest.raises(openai.BadRequestError) as caught:
        sdk.chat.completions.create(model="echo", messages=USER, store=True)  # type: ignore[arg-type]
    assert (caught.value.code, caught.value.param) == ("unsupported_parameter", "store")


@pytest.mark.parametrize(
    "field", [{"logit_bias": {"300": 1}}, {"extra_body": {"stop_token_ids": [300]}}]
)
def test_token_ids_that_the_model_has_not(
    sdk: openai.OpenAI, manager: FakeManager, field: dict[str, Any]
) -> None:
    """400 that names the field, and the lease is given back."""
    with pytest.raises(openai.BadRequestError, match="end at 256, got 300"):
        sdk.completions.create(model="echo", prompt="x", **field)
    assert manager.leased == 0


def test_closing_a_stream_gives_everything_back(sdk: openai.OpenAI, manager: FakeManager) -> None:
    """A client that stops reading costs no more tokens: the request is cancelled and released."""
    stream = sdk.chat.completions.create(model="endless", messages=USER, stream=True)  # type: ignore[arg-type]
    next(iter(stream))
    assert manager.leased == 1
    stream.close()
    assert manager.leased == 0


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"structured_outputs": {"regex": "a"}}, "structured_outputs.regex"),
    ],
)
def test_a_constraint_needs_an_engine_that_keeps_it(
    sdk: openai.OpenAI, manager: FakeManager, fields: dict[str, Any], param: str
) -> None:
    """400 unsupported_parameter where this model's engine cannot; the lease is given back."""
    for create, prompt in (
        (sdk.chat.completions.create, {"messages": USER}),
        (sdk.completions.create, {"prompt": "x"}),
    ):
        for stream in (False, True):
            with pytest.raises(openai.BadRequestError) as caught:
                create(model="echo", stream=stream, extra_body=fields, **prompt)  # type: ignore[operator]
            assert (caught.value.code, caught.value.param) == ("unsupported_parameter", param)
    assert manager.leased == 0


def test_a_constraint_reaches_the_engine(sdk: openai.OpenAI) -> None:
    """As the schema's text, whole or streamed; `response_format` text asks for nothing."""
    schema = {"type": "object", "properties": {"b": {"type": "null"}, "a": {"type": "null"}}}
    wanted = {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}
    options: dict[str, Any] = {"model": "bound", "messages": USER}
    answer = sdk.chat.completions.create(**options, response_format=wanted)
    assert answer.choices[0].message.content == (
        '{"type":"object","properties":{"b":{"type":"null"},"a":{"type":"null"}}}'
    )
    chunks = sdk.chat.completions.create(
        **options, stream=True, extra_body={"structured_outputs": {"choice": ["x"]}}
    )
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert text == '["x"]'
    plain = sdk.chat.completions.create(**options, response_format={"type": "text"})
    assert plain.choices[0].message.content == "Hello there"
