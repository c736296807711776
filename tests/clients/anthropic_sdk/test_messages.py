"""Anthropic's own client, with nothing changed but the base URL.

TRICORN_URL: the server's address; TRICORN_MODEL: a model that follows a schema where it must.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator
from typing import Any

import anthropic
import pytest
from anthropic import types

MODEL = os.environ.get("TRICORN_MODEL", "")
USER: Any = [{"role": "user", "content": "Name the capital of France."}]
WEATHER: Any = {
    "name": "get_weather",
    "description": "Tells the weather in a city.",
    "strict": True,
    "input_schema": {
        "type": "object",
        "properties": {
            "city": {"type": "string", "maxLength": 20},
            "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
        },
        "required": ["city", "unit"],
        "additionalProperties": False,
    },
}
GREEDY: Any = {"temperature": 0}
"""Not an argument of this SDK's any more, and still a field of the API."""
ASKED: Any = [{"role": "user", "content": "What is the weather like in Paris, in celsius?"}]


@pytest.fixture(scope="module")
def client() -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(
        base_url=os.environ["TRICORN_URL"], api_key="none", max_retries=0, timeout=120
    ) as found:
        yield found


def ask(client: anthropic.Anthropic, **fields: Any) -> types.Message:
    """A whole answer, greedy and short unless the test says otherwise; strictly Anthropic's."""
    given = {"messages": USER, "max_tokens": 24, "extra_body": GREEDY} | fields
    message = client.messages.create(model=MODEL, **given)
    types.Message.model_validate(message.model_dump(), strict=True)
    assert message._request_id
    return message


def text_of(message: types.Message) -> str:
    return "".join(block.text for block in message.content if block.type == "text")


def test_a_message(client: anthropic.Anthropic) -> None:
    """Text, reason and usage."""
    message = ask(client)
    assert "Paris" in text_of(message)
    assert message.stop_reason in ("end_turn", "max_tokens")
    assert message.usage.input_tokens + (message.usage.cache_read_input_tokens or 0) > 5
    assert message.usage.output_tokens > 2


def test_a_stream_says_the_same(client: anthropic.Anthropic) -> None:
    """The SDK's own accumulation of a stream is the whole answer."""
    whole = ask(client)
    with client.messages.stream(
        model=MODEL, messages=USER, max_tokens=24, extra_body=GREEDY
    ) as stream:
        text = "".join(stream.text_stream)
        streamed = stream.get_final_message()
    assert text == text_of(streamed) == text_of(whole)
    assert streamed.stop_reason == whole.stop_reason
    assert streamed.usage.output_tokens == whole.usage.output_tokens


def test_every_event_is_anthropics(client: anthropic.Anthropic) -> None:
    """Each raw event is valid by the SDK's own types, in the order that its helpers want."""
    kinds = []
    for event in client.messages.create(
        model=MODEL, messages=USER, max_tokens=8, extra_body=GREEDY, stream=True
    ):
        type(event).model_validate(event.model_dump(), strict=True)
        kinds.append(event.type)
    assert kinds[:2] == ["message_start", "content_block_start"]
    assert kinds[-3:] == ["content_block_stop", "message_delta", "message_stop"]
    assert set(kinds[2:-3]) == {"content_block_delta"}


def test_system_and_a_prefill(client: anthropic.Anthropic) -> None:
    """The answer goes on with what the assistant has begun to say."""
    begun = [*USER, {"role": "assistant", "content": "The capital of France is"}]
    message = ask(client, messages=begun, system=[{"type": "text", "text": "Be brief."}])
    assert "Paris" in text_of(message)[:16]


def test_a_stop_sequence(client: anthropic.Anthropic) -> None:
    """It ends the answer and is named."""
    message = ask(client, stop_sequences=["Paris"])
    assert (message.stop_reason, message.stop_sequence) == ("stop_sequence", "Paris")
    assert "Paris" not in text_of(message)


@pytest.mark.parametrize("choice", [{"type": "any"}, {"type": "tool", "name": "get_weather"}])
def test_a_demanded_call(client: anthropic.Anthropic, choice: Any) -> None:
    """A call whose input fits the schema; then the result goes back."""
    one = {**choice, "disable_parallel_tool_use": True}
    message = ask(client, messages=ASKED, tools=[WEATHER], tool_choice=one, max_tokens=300)
    assert message.stop_reason == "tool_use"
    [call] = message.content
    assert isinstance(call, types.ToolUseBlock)
    check(call.input)
    answer = ask(
        client,
        tools=[WEATHER],
        messages=[
            *ASKED,
            message.to_param(),
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": call.id, "content": "18 degrees, rain"}
                ],
            },
        ],
    )
    assert answer.content


def test_a_demanded_call_in_a_stream(client: anthropic.Anthropic) -> None:
    """The SDK reads its input as it grows."""
    with client.messages.stream(
        model=MODEL,
        messages=ASKED,
        tools=[WEATHER],
        tool_choice={"type": "any", "disable_parallel_tool_use": True},
        max_tokens=300,
        extra_body=GREEDY,
    ) as stream:
        pieces = [event.partial_json for event in stream if event.type == "input_json"]
        [call] = stream.get_final_message().content
    assert len(pieces) > 3
    assert isinstance(call, types.ToolUseBlock)
    check(call.input)


def check(given: Any) -> None:
    """It fits the schema of the weather."""
    assert set(given) == {"city", "unit"}
    assert given["unit"] in ("celsius", "fahrenheit")
    assert isinstance(given["city"], str)


@pytest.mark.parametrize("limit", [6, 14, 22])
def test_a_call_that_is_cut(client: anthropic.Anthropic, limit: int) -> None:
    """Its input is an object wherever it ends, whole and streamed."""
    asked: Any = {
        "model": MODEL,
        "messages": ASKED,
        "tools": [WEATHER],
        "tool_choice": {"type": "any"},
        "max_tokens": limit,
        "extra_body": GREEDY,
    }
    message = client.messages.create(**asked)
    with client.messages.stream(**asked) as stream:
        streamed = stream.get_final_message()
    for found in (message, streamed):
        assert found.stop_reason == "max_tokens"
        for block in found.content:
            assert block.type != "tool_use" or isinstance(block.input, dict)


def test_a_format(client: anthropic.Anthropic) -> None:
    """An answer that follows a schema."""
    schema = {
        "type": "object",
        "properties": {"city": {"type": "string", "maxLength": 20}},
        "required": ["city"],
        "additionalProperties": False,
    }
    message = ask(
        client,
        max_tokens=100,
        output_config={"format": {"type": "json_schema", "schema": schema}},
    )
    assert set(json.loads(text_of(message))) == {"city"}


def test_counting_tokens(client: anthropic.Anthropic) -> None:
    """As many as the message then has."""
    asked: Any = {"messages": ASKED, "system": "Be brief.", "tools": [WEATHER]}
    counted = client.messages.count_tokens(model=MODEL, **asked).input_tokens
    usage = ask(client, **asked, max_tokens=1).usage
    assert counted == usage.input_tokens + (usage.cache_read_input_tokens or 0)


def test_the_cache_is_told(client: anthropic.Anthropic) -> None:
    """A long prompt that comes again is read from the cache, and counted there."""
    long: Any = [{"role": "user", "content": "Item 5 lies in drawer 35. " * 30}]
    ask(client, messages=long, max_tokens=2)
    usage = ask(client, messages=long, max_tokens=2).usage
    assert (usage.cache_read_input_tokens or 0) > 100
    assert usage.input_tokens < 100
    assert usage.cache_creation_input_tokens == 0


def test_models(client: anthropic.Anthropic) -> None:
    """The list, page by page, and one of it."""
    listed = [model.id for model in client.models.list(limit=1)]
    assert MODEL in listed
    assert len(listed) == len(set(listed))
    assert client.models.retrieve(MODEL).type == "model"


def test_the_beta_client(client: anthropic.Anthropic) -> None:
    """`?beta=true`, betas, and what comes with them."""
    message = client.beta.messages.create(
        model=MODEL,
        max_tokens=4,
        messages=[*USER, {"role": "system", "content": "Be brief."}],
        betas=["context-management-2025-06-27", "interleaved-thinking-2025-05-14"],
        context_management={"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
        thinking={"type": "adaptive"},
        metadata={"user_id": "u"},
    )
    assert message.content


def test_errors(client: anthropic.Anthropic) -> None:
    """Each is the SDK's own exception, which says what is wrong."""
    with pytest.raises(anthropic.NotFoundError, match=MODEL):
        client.messages.create(model="claude-none", max_tokens=1, messages=USER)
    with pytest.raises(anthropic.BadRequestError, match="prompt is too long") as caught:
        ask(client, messages=[{"role": "user", "content": "word " * 12000}])
    assert caught.value.body["error"]["type"] == "invalid_request_error"  # type: ignore[index]
    with pytest.raises(anthropic.BadRequestError, match="web_search") as caught:
        ask(client, tools=[{"type": "web_search_20250305", "name": "web_search"}])
    assert caught.value.body["error"]["param"] == "tools[0].type"  # type: ignore[index]


def test_the_asynchronous_client() -> None:
    """Several at once."""

    async def all_of_them() -> list[types.Message]:
        async with anthropic.AsyncAnthropic(
            base_url=os.environ["TRICORN_URL"], api_key="none", max_retries=0
        ) as client:
            asked = [
                client.messages.create(model=MODEL, max_tokens=4, messages=USER) for _ in range(4)
            ]
            return await asyncio.gather(*asked)

    assert all(message.content for message in asyncio.run(all_of_them()))
