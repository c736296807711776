"""What chat completions accept, refuse and hand on."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from tricorn.errors import InvalidRequest, RequestError, UnsupportedParameter
from tricorn.schemas.chat import ChatRequest

USER = {"role": "user", "content": "Hi"}
CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}


def parse(**fields: Any) -> ChatRequest:
    return ChatRequest.parse({"model": "m", "messages": [USER], **fields})[0]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"model": None}, "model"),
        ({"model": 5}, "model"),
        ({"model": ""}, "model"),
        ({"truncation": True}, "truncation"),
        ({"truncation": "oldest"}, "truncation"),
        ({"messages": None}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": "Hi"}, "messages"),
        ({"messages": ["Hi"]}, "messages[0]"),
        ({"messages": [{"content": "Hi"}]}, "messages[0].role"),
        ({"messages": [{"role": 1, "content": "Hi"}]}, "messages[0].role"),
        ({"messages": [USER, {"role": "bot", "content": "Hi"}]}, "messages[1].role"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": None}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": 1}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": []}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": ["x"]}]}, "messages[0].content[0]"),
        (
            {"messages": [{"role": "user", "content": [{"type": "text", "text": 1}]}]},
            "messages[0].content[0]",
        ),
        ({"messages": [{"role": "assistant", "content": None}]}, "messages[0].content"),
        (
            {"messages": [{"role": "assistant", "tool_calls": [{**CALL, "id": 1}]}]},
            "messages[0].tool_calls[0].id",
        ),
        (
            {"messages": [{"role": "assistant", "tool_calls": [{"id": "c"}]}]},
            "messages[0].tool_calls[0].function",
        ),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].tool_call_id"),
        ({"temperature": 2.1}, "temperature"),
        ({"temperature": -0.1}, "temperature"),
        ({"temperature": "1"}, "temperature"),
        ({"temperature": True}, "temperature"),
        ({"top_p": 1.5}, "top_p"),
        ({"n": 0}, "n"),
        ({"n": 129}, "n"),
        ({"n": 1.5}, "n"),
        ({"presence_penalty": 2.5}, "presence_penalty"),
        ({"frequency_penalty": -2.5}, "frequency_penalty"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": True}, "max_tokens"),
        ({"max_tokens": "five"}, "max_tokens"),
        ({"max_tokens": [5]}, "max_tokens"),
        ({"max_completion_tokens": -1}, "max_completion_tokens"),
        ({"max_tokens": 5, "max_completion_tokens": 6}, "max_tokens"),
        ({"logprobs": 1}, "logprobs"),
        ({"top_logprobs": 2}, "top_logprobs"),
        ({"logprobs": True, "top_logprobs": 21}, "top_logprobs"),
        ({"stop": 5}, "stop"),
        ({"stop": ["a", 5]}, "stop"),
        ({"stop": ""}, "stop"),
        ({"stop": ["x"] * 17}, "stop"),
        ({"logit_bias": [1]}, "logit_bias"),
        ({"logit_bias": {"a": 1}}, "logit_bias"),
        ({"logit_bias": {"5": 101}}, "logit_bias"),
        ({"logit_bias": {"5": True}}, "logit_bias"),
        ({"seed": 2**63}, "seed"),
        ({"seed": "x"}, "seed"),
        ({"stream": "true"}, "stream"),
        ({"stream_options": {"include_usage": True}}, "stream_options"),
        ({"stream": True, "stream_options": []}, "stream_options"),
        (
            {"stream": True, "stream_options": {"include_usage": 1}},
            "stream_options.include_usage",
        ),
        ({"top_k": -2}, "top_k"),
        ({"min_p": 1.1}, "min_p"),
        ({"repetition_penalty": 0}, "repetition_penalty"),
        ({"repeat_penalty": 0}, "repeat_penalty"),
        ({"repeat_penalty": 1.1, "repetition_penalty": 1.2}, "repeat_penalty"),
        ({"min_tokens": 5, "max_tokens": 4}, "min_tokens"),
        ({"stop_token_ids": [-1]}, "stop_token_ids"),
        ({"stop_token_ids": 5}, "stop_token_ids"),
        ({"ignore_eos": 1}, "ignore_eos"),
        ({"chat_template_kwargs": []}, "chat_template_kwargs"),
        ({"continue_final_message": True}, "continue_final_message"),
        (
            {
                "messages": [USER, {"role": "assistant", "content": "A"}],
                "continue_final_message": True,
                "add_generation_prompt": True,
            },
            "add_generation_prompt",
        ),
        ({"priority": "high"}, "priority"),
        ({"priority": 2**31}, "priority"),
        ({"user": 5}, "user"),
        ({"prediction": "x"}, "prediction"),
        ({"verbosity": "loud"}, "verbosity"),
        ({"verbosity": "low", "chat_template_kwargs": {"verbosity": "high"}}, "verbosity"),
        (
            {"stream": True, "stream_options": {"continuous_usage_stats": 1}},
            "stream_options.continuous_usage_stats",
        ),
        ({"metadata": "x"}, "metadata"),
        ({"parallel_tool_calls": 1}, "parallel_tool_calls"),
    ],
)
def test_invalid(fields: dict[str, Any], param: str) -> None:
    """400 invalid_value that names the field."""
    with pytest.raises(InvalidRequest) as caught:
        parse(**fields)
    assert caught.value.param == param
    assert f"'{param}'" in caught.value.message


@pytest.mark.parametrize(
    ("field", "expected"),
    [("response_format", "an object"), ("stream_options", "an object"), ("tools", "an array")],
)
def test_wrong_types_are_told_as_json_calls_them(field: str, expected: str) -> None:
    """No word of the classes that check them."""
    with pytest.raises(InvalidRequest) as caught:
        parse(stream=True, **{field: "x"})
    assert caught.value.message == (
        f"Invalid type for '{field}': expected {expected}, got a string."
    )


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"tools": [{"type": "custom", "custom": {"name": "f"}}]}, "tools[0].type"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"audio": {}}, "audio"),
        ({"web_search_options": {}}, "web_search_options"),
        ({"store": True}, "store"),
        ({"service_tier": "flex"}, "service_tier"),
        ({"guided_whitespace_pattern": " "}, "guided_whitespace_pattern"),
        (
            {"messages": [{"role": "user", "content": [USER, {"type": "image_url"}]}]},
            "messages[0].content[0]",
        ),
        (
            {
                "messages": [
                    {
                        "role": "assistant",
                        "content": [{"type": "text", "text": "a"}, {"type": "image_url"}],
                    }
                ]
            },
            "messages[0].content[1]",
        ),
        (
            {"messages": [{"role": "assistant", "tool_calls": [{**CALL, "type": "custom"}]}]},
            "messages[0].tool_calls[0].type",
        ),
    ],
)
def test_unsupported(fields: dict[str, Any], param: str) -> None:
    """Known to OpenAI and not done here: 400 that names the field, never silence."""
    with pytest.raises(RequestError) as caught:
        parse(**fields)
    assert caught.value.param == param
    if param != "messages[0].content[0]":
        assert isinstance(caught.value, UnsupportedParameter)


def test_nulls_and_hints_ask_for_nothing() -> None:
    """Explicit nulls are absent fields; hints and harmless values pass without being reported."""
    nulls = dict.fromkeys(
        ["temperature", "n", "stop", "tools", "response_format", "seed", "stream", "foo", "user"]
    )
    hints = {
        "user": "u", "metadata": {"a": "b"}, "store": False, "service_tier": "auto",
        "prompt_cache_key": "k", "safety_identifier": "s", "parallel_tool_calls": True,
        "functions": [], "modalities": ["text"], "guided_decoding_backend": "auto",
        "prediction": {"type": "content", "content": "x"},
    }  # fmt: skip
    body = {"model": "m", "messages": [USER]}
    assert ChatRequest.parse(body | nulls) == ChatRequest.parse(body)
    request, unknown = ChatRequest.parse(body | nulls | hints)
    assert unknown == []
    assert request == parse()


def test_sampling() -> None:
    """Every field reaches the engine's parameters; integers may be numeric strings."""
    sampling = parse(
        temperature=0, top_p=0.5, n="2", presence_penalty=1, frequency_penalty=-1, top_k=-1,
        min_p=0.1, repeat_penalty=1.1, min_tokens=2, max_tokens="5", max_completion_tokens=5,
        ignore_eos=True, stop_token_ids=[7], stop="x", seed=-3, logit_bias={"5": -100},
        logprobs=True,
    ).sampling()  # fmt: skip
    assert sampling.temperature == 0
    assert sampling.top_p == 0.5
    assert sampling.n == 2
    assert (sampling.presence_penalty, sampling.frequency_penalty) == (1, -1)
    assert (sampling.top_k, sampling.min_p, sampling.repetition_penalty) == (0, 0.1, 1.1)
    assert (sampling.min_tokens, sampling.max_tokens) == (2, 5)
    assert sampling.ignore_eos
    assert sampling.stop_token_ids == (7,)
    assert sampling.stop == ("x",)
    assert sampling.seed == -3
    assert sampling.logit_bias == {5: -100}
    assert sampling.logprobs == 0
    assert parse(logprobs=True, top_logprobs=3).sampling().logprobs == 3
    assert parse(logprobs=False).sampling().logprobs is None
    assert parse().sampling().max_tokens is None


def test_messages_as_the_template_takes_them() -> None:
    """Parts become text, developer becomes system, an assistant's calls and reasoning are kept."""
    messages = [
        {"role": "developer", "content": [{"type": "text", "text": t} for t in "ab"]},
        {"role": "user", "content": "c", "name": "Ann"},
        {
            "role": "assistant", "content": None, "tool_calls": [CALL], "refusal": None,
            "reasoning": "r", "annotations": [], "audio": None, "function_call": None,
        },
        {"role": "tool", "content": "d", "tool_call_id": "c1"},
        {"role": "assistant", "content": "", "tool_calls": [CALL]},
    ]  # fmt: skip
    request, unknown = ChatRequest.parse({"model": "m", "messages": messages})
    assert unknown == []
    assert request.prompt().messages == [
        {"role": "system", "content": "a\nb"},
        {"role": "user", "content": "c", "name": "Ann"},
        {
            "role": "assistant",
            "content": None,
            "reasoning_content": "r",
            "tool_calls": [CALL],
        },
        {"role": "tool", "content": "d", "tool_call_id": "c1"},
        {"role": "assistant", "content": "", "tool_calls": [CALL]},
    ]


def test_continuing_a_message_drops_the_generation_prompt() -> None:
    """continue_final_message needs no second field."""
    request = parse(
        messages=[USER, {"role": "assistant", "content": "A"}], continue_final_message=True
    )
    assert request.prompt().continue_final_message
    assert not request.prompt().add_generation_prompt
    assert parse().prompt().add_generation_prompt
    assert not parse(add_generation_prompt=False).prompt().add_generation_prompt


def test_unknown_fields_are_reported_with_their_place() -> None:
    """Also those inside messages and stream_options; strict refuses the first."""
    body = {
        "model": "m",
        "messages": [USER, {**USER, "mood": "good"}],
        "stream": True,
        "stream_options": {"x": 1},
        "foo": 1,
    }
    _, unknown = ChatRequest.parse(body)
    assert unknown == ["foo", "stream_options.x", "messages[1].mood"]
    with pytest.raises(InvalidRequest) as caught:
        ChatRequest.parse(body, strict=True)
    assert caught.value.param == "foo"


def test_unknown_fields_of_content_parts_are_reported() -> None:
    """Also those of images; marks for caches ask for nothing that could be missed."""
    text = {"type": "text", "text": "Hi", "cache_control": {"type": "ephemeral"}, "x": None}
    address = {"url": "data:image/png;base64,AA==", "detail": "low", "size": 2}
    image = {"type": "image_url", "image_url": address}
    messages = [
        {"role": "user", "content": [text, {**text, "mood": "good"}, image]},
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "No", "why": "x"}]},
    ]
    assert ChatRequest.parse({"model": "m", "messages": messages})[1] == [
        "messages[0].content[1].mood",
        "messages[0].content[2].image_url.size",
        "messages[1].content[0].why",
    ]


def test_unknown_fields_of_earlier_calls_are_reported() -> None:
    """Also those inside an assistant's calls; `index` is what a stream numbers them with."""
    function = {"name": "f", "arguments": "{}", "x": 1}
    called = {
        "role": "assistant",
        "tool_calls": [{**CALL, "index": 0}, {**CALL, "y": 2, "function": function}],
    }
    older = {"role": "assistant", "function_call": function}
    assert ChatRequest.parse({"model": "m", "messages": [USER, called, older]})[1] == [
        "messages[1].tool_calls[1].y",
        "messages[1].tool_calls[1].function.x",
        "messages[2].function_call.x",
    ]


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("9223372036854775808", "9223372036854775808"),
        ("18446744073709551615", "18446744073709551615"),
        ("-9223372036854775809", "about -9.22337e+18"),
        ("123456789012345678901234567890", "about 1.23457e+29"),
        ('"9999999999999999999"', "9999999999999999999"),
    ],
)
def test_integers_beyond_64_bits(sent: str, shown: str) -> None:
    """The number is shown as it was sent; one that JSON readers round is not made up."""
    with pytest.raises(InvalidRequest) as caught:
        parse(seed=orjson.loads(sent))
    assert caught.value.message == (
        "Invalid value for 'seed': must be an integer of 64 bits, -9223372036854775808 to "
        f"9223372036854775807, got {shown}."
    )
    assert parse(seed=2**63 - 1).seed == 2**63 - 1
    assert parse(seed=-(2**63)).seed == -(2**63)


def test_verbosity_goes_to_the_template() -> None:
    """Templates that know it read it."""
    assert parse(verbosity="low").prompt().template_kwargs == {"verbosity": "low"}


def test_deep_nesting_is_refused() -> None:
    """A value that is handed on whole cannot exhaust the stack of who takes it."""
    deep: Any = {}
    for _ in range(100):
        deep = {"a": deep}
    with pytest.raises(InvalidRequest) as caught:
        parse(chat_template_kwargs=deep)
    assert caught.value.param == "chat_template_kwargs"


@pytest.mark.parametrize(("value", "allowed"), [(None, False), ("disabled", False), ("auto", True)])
def test_truncation(value: str | None, allowed: bool) -> None:
    """Only where it is asked for."""
    assert parse(truncation=value).prompt().truncation is allowed


@pytest.mark.parametrize(
    "name",
    [
        "thinking_budget",
        "thinking_token_budget",
        "thinking_budget_tokens",
        "reasoning_budget_tokens",
    ],
)
def test_thinking_budget(name: str) -> None:
    """Under each server's name; -1 is no limit, 0 tells the template not to think."""
    call = parse(**{name: 300})
    assert call.sampling().thinking_budget == 300
    assert call.prompt().template_kwargs == {"thinking_budget": 300}
    assert parse(**{name: -1}).sampling().thinking_budget is None
    assert parse(**{name: -1}).prompt().template_kwargs == {}
    switches = {"enable_thinking": False, "thinking": False}
    assert parse(**{name: 0}).prompt().template_kwargs == {"thinking_budget": 0, **switches}


@pytest.mark.parametrize(
    "fields",
    [
        {"thinking_budget": -2},
        {"thinking_budget": "much"},
        {"thinking_budget": True},
        {"thinking_budget": 0, "enable_thinking": True},
        {"thinking_budget": 0, "reasoning_effort": "low"},
        {"thinking_budget": 0, "chat_template_kwargs": {"thinking": True}},
        {"thinking_budget": 5, "chat_template_kwargs": {"thinking_budget": 6}},
    ],
)
def test_wrong_thinking_budgets(fields: dict[str, Any]) -> None:
    """What is no number of tokens, and what contradicts another field."""
    with pytest.raises(InvalidRequest) as caught:
        parse(**fields)
    assert caught.value.param == "thinking_budget"
