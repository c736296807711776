"""The Responses API through OpenAI's own client, and every body held to its models."""

from __future__ import annotations

import base64
import re
from typing import Any

import httpx
import openai
import pytest
from tests.gateway.responses.ask import NOW, WEATHER, post, raw_events, strict
from tests.images import data_url, png

# --- answers ------------------------------------------------------------------------------------


def test_a_string(client: openai.OpenAI, http: httpx.Client) -> None:
    """The least that can be asked."""
    answer = client.responses.create(model="echo", input="Hello, 世界!")
    assert answer.output_text == "Hello, 世界!"
    assert answer.status == "completed"
    assert re.fullmatch(r"resp_[0-9a-f]{32}", answer.id)
    strict(post(http, model="echo", input="Hi").json())


def test_the_request_is_repeated(http: httpx.Client) -> None:
    """Every field that a response says of its request, as it was sent or as it is by default."""
    form = {"type": "json_schema", "name": "a", "schema": {"type": "object"}, "strict": True}
    sent = {
        "instructions": "Be brief.",
        "max_output_tokens": 50,
        "max_tool_calls": 3,
        "metadata": {"a": "b"},
        "parallel_tool_calls": False,
        "prompt_cache_key": "key",
        "reasoning": {"effort": "low", "summary": "auto"},
        "safety_identifier": "somebody",
        "store": False,
        "temperature": 0.5,
        "text": {"format": form, "verbosity": "low"},
        "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [
            {"type": "function", "name": "get_weather"}]},
        "tools": [WEATHER],
        "top_logprobs": 2,
        "top_p": 0.9,
        "truncation": "auto",
        "user": "me",
    }  # fmt: skip
    body = strict(post(http, model="held", input="Hi", **sent).json())
    assert {name: body[name] for name in sent} == sent | {
        "text": {"format": form | {"description": None}, "verbosity": "low"}
    }
    assert (body["background"], body["service_tier"], body["error"]) == (False, "default", None)
    body = strict(post(http, model="echo", input="Hi", tools=[NOW], tool_choice="none").json())
    assert body["tools"] == [
        {"type": "function", "name": "now", "description": None, "parameters": None,
         "strict": False}
    ]  # fmt: skip
    assert (body["tool_choice"], body["store"], body["truncation"]) == ("none", True, "disabled")
    named = {"type": "function", "name": "get_weather"}
    body = post(http, model="held-caller", input="Hi", tools=[WEATHER], tool_choice=named).json()
    assert strict(body)["tool_choice"] == named


def test_what_n8n_sends(http: httpx.Client) -> None:
    """Its chat model node, and its OpenAI node."""
    first = post(
        http,
        input=[{"type": "message", "role": "user", "content": "Say it"}],
        model="echo",
        stream=False,
        text={},
        max_output_tokens=24,
    )
    second = http.post(
        "/v1/responses",
        headers={"openai-organization": "", "connection": "close"},
        json={
            "model": "echo",
            "input": [{"role": "user", "content": [{"type": "input_text", "text": "Say it"}]}],
            "parallel_tool_calls": True,
            "store": True,
            "max_output_tokens": 16,
            "background": False,
        },
    )
    for answer in (first, second):
        assert "x-tricorn-ignored" not in answer.headers
        assert strict(answer.json())["output"][0]["content"][0]["text"] == "Say it"


def test_nulls_are_absent(http: httpx.Client) -> None:
    """Whatever is null was not sent."""
    names = (
        "instructions previous_response_id store truncation tools tool_choice parallel_tool_calls "
        "text reasoning max_output_tokens top_logprobs include metadata user temperature top_p "
        "stream stream_options background conversation prompt service_tier seed stop max_tool_calls"
    )
    answer = post(http, model="echo", input="Hi", **dict.fromkeys(names.split()))
    assert strict(answer.json())["store"] is True
    assert "x-tricorn-ignored" not in answer.headers


def test_a_stream(client: openai.OpenAI, http: httpx.Client) -> None:
    """The helper puts the same response together that the last event has, without a [DONE]."""
    with client.responses.stream(model="echo", input="Hello") as stream:
        texts = [event.delta for event in stream if event.type == "response.output_text.delta"]
        final = stream.get_final_response()
    assert "".join(texts) == final.output_text == "Hello"
    found = raw_events(http, model="echo", input="Hello")
    assert [event["sequence_number"] for event in found] == list(range(len(found)))
    assert found[-1]["type"] == "response.completed"
    assert len({event["response"]["id"] for event in found if "response" in event}) == 1


def test_a_limit(client: openai.OpenAI, http: httpx.Client) -> None:
    """incomplete, whole and streamed."""
    answer = client.responses.create(model="echo", input="Hello", max_output_tokens=3)
    assert (answer.status, answer.output_text) == ("incomplete", "Hel")
    assert answer.incomplete_details is not None
    assert answer.incomplete_details.reason == "max_output_tokens"
    last = raw_events(http, model="echo", input="Hello", max_output_tokens=3)[-1]
    assert last["type"] == "response.incomplete"


def test_sampling_reaches_the_engine(client: openai.OpenAI) -> None:
    """Extensions that chat completions have: stop strings among them."""
    extra = {"stop": ["lo"], "top_k": 5, "min_p": 0.1, "seed": 3, "repetition_penalty": 1.1}
    assert client.responses.create(model="echo", input="Hello", extra_body=extra).output_text == (
        "Hel"
    )
    extra = {"min_tokens": 9, "ignore_eos": True}
    answer = client.responses.create(
        model="echo", input="Hello", max_output_tokens=9, extra_body=extra
    )
    assert answer.output_text == "Hello    "


def test_logprobs(client: openai.OpenAI) -> None:
    """Where `include` or `top_logprobs` asks for them, with bytes; else there are none."""
    for options, alternatives in (
        ({"include": ["message.output_text.logprobs"]}, 0),
        ({"top_logprobs": 2}, 2),
    ):
        answer = client.responses.create(model="echo", input="Hey", **options)  # type: ignore[call-overload]
        [item] = answer.output
        entries = item.content[0].logprobs
        assert [entry.token for entry in entries] == ["H", "e", "y"]
        assert entries[0].bytes == [72]
        assert {len(entry.top_logprobs) for entry in entries} == {alternatives}
    [item] = client.responses.create(model="echo", input="Hey").output
    assert item.content[0].logprobs == []  # type: ignore[union-attr]


def test_thoughts(client: openai.OpenAI, http: httpx.Client) -> None:
    """A reasoning item in front of the message, counted, and streamed as such."""
    answer = client.responses.create(model="thinker", input="Is it?")
    thought, message = answer.output
    assert thought.type == "reasoning"
    assert thought.content is not None
    assert (thought.content[0].text, thought.summary) == ("Hm.", [])
    assert (message.type, answer.output_text) == ("message", "Yes.")
    assert answer.usage is not None
    assert answer.usage.output_tokens_details.reasoning_tokens > 5
    found = raw_events(http, model="thinker", input="Is it?")
    for kind, text in (("reasoning_text", "Hm."), ("output_text", "Yes.")):
        deltas = [e["delta"] for e in found if e["type"] == f"response.{kind}.delta"]
        assert "".join(deltas) == text
    with client.responses.stream(model="thinker", input="Is it?") as stream:
        assert [item.type for item in stream.get_final_response().output] == [
            "reasoning",
            "message",
        ]


# --- what the model is told ---------------------------------------------------------------------


def test_images(client: openai.OpenAI) -> None:
    """They reach a model that sees, also as a part of what came before; others refuse them."""
    url = data_url(png())
    items: Any = [
        {
            "role": "user",
            "content": [
                {"type": "input_text", "text": "Look"},
                {"type": "input_image", "image_url": url, "detail": "auto"},
            ],
        }
    ]
    first = client.responses.create(model="seeing", input=items)
    assert re.fullmatch(r"Look ?<image [0-9a-f]{8}>", first.output_text)
    second = client.responses.create(model="seeing", input="Again", previous_response_id=first.id)
    assert second.usage is not None
    assert first.usage is not None
    assert second.usage.input_tokens > first.usage.input_tokens
    listed = list(client.responses.input_items.list(first.id))
    assert listed[0].content[1].image_url == url  # type: ignore[union-attr]
    for model, code, given in (
        ("echo", "unsupported_parameter", items),
        ("seeing", "invalid_value", bad_image()),
    ):
        with pytest.raises(openai.BadRequestError) as caught:
            client.responses.create(model=model, input=given)
        assert (caught.value.code, caught.value.param) == (code, "input[0].content[1].image_url")
    with pytest.raises(openai.BadRequestError) as caught:
        client.responses.create(model="echo", input="And?", previous_response_id=first.id)
    assert caught.value.param == "previous_response_id"


def bad_image() -> Any:
    url = "data:image/png;base64," + base64.b64encode(b"no image").decode()
    parts = [{"type": "input_text", "text": "Look"}, {"type": "input_image", "image_url": url}]
    return [{"role": "user", "content": parts}]


def test_counting(client: openai.OpenAI) -> None:
    """As many as the answer's usage says, tools and the turns before it included."""
    first = client.responses.create(model="caller", input="Hi", tools=[WEATHER])
    for options in ({}, {"tools": [WEATHER]}, {"previous_response_id": first.id}):
        given: Any = {"model": "echo", "input": "Hello", "instructions": "Be."} | options
        usage = client.responses.create(**given).usage
        assert usage is not None
        assert client.responses.input_tokens.count(**given).input_tokens == usage.input_tokens
