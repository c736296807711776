"""OpenAI's SDK in the ways that OpenAI's documentation shows it, for chat completions."""

from __future__ import annotations

import asyncio
import json
from typing import Any, Literal

import openai
from openai.types.chat import ChatCompletion
from pydantic import BaseModel, Field
from tests.clients.models import SCRIPTED, THINKER
from tests.e2e.server import MODEL, Server

FRANCE: Any = [
    {"role": "developer", "content": "You are a helpful assistant."},
    {"role": "user", "content": "Name the capital of France."},
]
WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Get current temperature for a given location.",
        "parameters": {
            "type": "object",
            "properties": {"location": {"type": "string", "maxLength": 30}},
            "required": ["location"],
            "additionalProperties": False,
        },
        "strict": True,
    },
}


class Event(BaseModel):
    """What OpenAI's guide to structured outputs extracts."""

    name: str = Field(max_length=30)
    day: Literal["Monday", "Friday"]
    people: list[Literal["Alice", "Bob"]] = Field(max_length=2)


class GetWeather(BaseModel):
    """Tells the weather."""

    city: str = Field(max_length=20)
    unit: Literal["celsius", "fahrenheit"]


def question(text: str) -> Any:
    return [{"role": "user", "content": text}]


def call(name: str, **arguments: Any) -> str:
    """A call as a model writes it; the scripted one writes what it is asked."""
    return f"<tool_call>{json.dumps({'name': name, 'arguments': arguments})}</tool_call>"


# --- answers ------------------------------------------------------------------------------------


def test_the_stream_helper(client: openai.OpenAI) -> None:
    """Its events tell the text as it grows, and end with a whole completion and its usage."""
    with client.chat.completions.stream(
        model=MODEL, messages=FRANCE, temperature=0, max_tokens=24, logprobs=True,
        stream_options={"include_usage": True},
    ) as stream:  # fmt: skip
        events = list(stream)
        whole = stream.get_final_completion()

    deltas = [event.delta for event in events if event.type == "content.delta"]
    [done] = [event.content for event in events if event.type == "content.done"]
    assert len(deltas) > 2
    assert "".join(deltas) == done == whole.choices[0].message.content
    assert "Paris" in done
    assert whole.usage is not None
    assert whole.usage.completion_tokens > 0
    assert {"logprobs.content.delta", "logprobs.content.done"} <= {event.type for event in events}


def test_an_asynchronous_client(served: Server) -> None:
    """Whole answers and streams at the same time."""

    async def whole(sdk: openai.AsyncOpenAI) -> str:
        answer = await sdk.chat.completions.create(model=SCRIPTED, messages=question("one"))
        return answer.choices[0].message.content or ""

    async def streamed(sdk: openai.AsyncOpenAI) -> str:
        text = ""
        async for chunk in await sdk.chat.completions.create(
            model=SCRIPTED, messages=question("two"), stream=True
        ):
            text += chunk.choices[0].delta.content or ""
        return text

    async def all_of_them() -> list[str]:
        async with openai.AsyncOpenAI(
            base_url=f"{served.url}/v1", api_key="none", max_retries=0
        ) as sdk:
            return await asyncio.gather(*(ask(sdk) for ask in [whole, streamed] * 8))

    assert asyncio.run(all_of_them()) == ["one", "two"] * 8


def test_what_clients_send_besides(client: openai.OpenAI) -> None:
    """Hints about storage, tiers, caches and users change nothing and are no fault."""
    answer = client.chat.completions.create(
        model=SCRIPTED, messages=question("ping"), store=False, metadata={"trace": "1"},
        user="someone", service_tier="auto", prompt_cache_key="k", safety_identifier="s",
        reasoning_effort="low", verbosity="low", stop=["never said"], seed=1, top_p=1, n=1,
        modalities=["text"], prediction={"type": "content", "content": "ping"},
    )  # fmt: skip
    assert answer.choices[0].message.content == "ping"


def test_raw_responses(client: openai.OpenAI) -> None:
    """Headers can be read beside the parsed answer, and name the request."""
    raw = client.chat.completions.with_raw_response.create(
        model=SCRIPTED, messages=question("ping")
    )
    assert raw.headers["x-request-id"]
    assert raw.headers["content-type"].startswith("application/json")
    parsed = raw.parse()
    assert isinstance(parsed, ChatCompletion)
    assert parsed._request_id == raw.headers["x-request-id"]
    assert parsed.choices[0].message.content == "ping"


def test_a_raw_stream(client: openai.OpenAI) -> None:
    """with_streaming_response gives the events as they are on the wire."""
    with client.chat.completions.with_streaming_response.create(
        model=SCRIPTED, messages=question("ping"), stream=True
    ) as response:
        lines = [line for line in response.iter_lines() if line]
    assert response.headers["content-type"].startswith("text/event-stream")
    assert all(line.startswith("data: ") for line in lines)
    assert lines[-1] == "data: [DONE]"


def test_thoughts(client: openai.OpenAI) -> None:
    """They are beside the content, under the names that clients look for."""
    message = client.chat.completions.create(model=THINKER, messages=question("A river?"))
    [choice] = message.choices
    assert choice.message.content == "The Seine."
    assert choice.message.model_dump()["reasoning_content"] == "It is a river."


# --- structured answers and tools ---------------------------------------------------------------


def test_parse(client: openai.OpenAI) -> None:
    """A small model's answer is an object of the class."""
    answer = client.chat.completions.parse(
        model=MODEL, temperature=0, max_tokens=200, response_format=Event,
        messages=question("Alice and Bob are going to a science fair on Friday."),
    )  # fmt: skip
    assert isinstance(answer.choices[0].message.parsed, Event)


def test_a_stream_that_is_parsed(client: openai.OpenAI) -> None:
    """The same while it streams, with what is parsed so far."""
    wanted = Event(name="fair", day="Friday", people=["Bob"])
    with client.chat.completions.stream(
        model=SCRIPTED, messages=question(wanted.model_dump_json()), response_format=Event
    ) as stream:
        parsed = [event.parsed for event in stream if event.type == "content.delta"]
        whole = stream.get_final_completion()
    assert whole.choices[0].message.parsed == wanted
    assert {"name": "fair", "day": "Friday"} in parsed


def test_strict_tools_are_parsed(client: openai.OpenAI) -> None:
    """pydantic_function_tool: the arguments of a call are an object of the class."""
    answer = client.chat.completions.parse(
        model=MODEL, messages=question("How warm is Oslo, in celsius?"), temperature=0,
        max_tokens=200, tools=[openai.pydantic_function_tool(GetWeather)], tool_choice="required",
        parallel_tool_calls=False,
    )  # fmt: skip
    [found] = answer.choices[0].message.tool_calls or []
    assert isinstance(found.function.parsed_arguments, GetWeather)


def test_a_named_tool(client: openai.OpenAI) -> None:
    """tool_choice by name: this one is called, once."""
    other = {"type": "function", "function": {"name": "get_time"}}
    answer = client.chat.completions.create(
        model=MODEL, messages=question("Hello!"), temperature=0, max_tokens=200,
        tools=[other, WEATHER], parallel_tool_calls=False,
        tool_choice={"type": "function", "function": {"name": "get_weather"}},
    )  # fmt: skip
    [found] = answer.choices[0].message.tool_calls or []
    assert found.type == "function"
    assert found.function.name == "get_weather"
    assert set(json.loads(found.function.arguments)) == {"location"}


def test_a_round_trip(client: openai.OpenAI) -> None:
    """The guide to function calling: call, run, append message and results, ask again."""
    tools = [WEATHER]
    messages = question(call("get_weather", location="Paris, France"))
    first = client.chat.completions.create(model=SCRIPTED, messages=messages, tools=tools)
    assert first.choices[0].finish_reason == "tool_calls"
    messages.append(first.choices[0].message)  # the SDK's own object, nulls and all
    for found in first.choices[0].message.tool_calls or []:
        assert found.type == "function"
        place = json.loads(found.function.arguments)["location"]
        result = {"role": "tool", "tool_call_id": found.id, "content": f"14 degrees in {place}"}
        messages.append(result)
    second = client.chat.completions.create(model=SCRIPTED, messages=messages, tools=tools)
    assert second.choices[0].message.content == "14 degrees in Paris, France"


def test_a_call_streams(client: openai.OpenAI) -> None:
    """The helper's events of a call: its arguments grow, and are whole in the end."""
    with client.chat.completions.stream(
        model=SCRIPTED, messages=question(call("get_weather", location="Oslo")), tools=[WEATHER]
    ) as stream:
        events = list(stream)
    pieces = [e.arguments_delta for e in events if e.type == "tool_calls.function.arguments.delta"]
    [done] = [e for e in events if e.type == "tool_calls.function.arguments.done"]
    assert done.name == "get_weather"
    assert json.loads("".join(pieces)) == json.loads(done.arguments) == {"location": "Oslo"}


# --- other endpoints ----------------------------------------------------------------------------


def test_models(client: openai.OpenAI) -> None:
    """The list has every model, and each can be asked for by its id."""
    ids = {model.id for model in client.models.list()}
    assert {MODEL, SCRIPTED, THINKER} <= ids
    found = client.models.retrieve(MODEL)
    assert (found.id, found.object) == (MODEL, "model")
    assert found.created > 0


def test_legacy_completions(client: openai.OpenAI) -> None:
    """Several prompts, whole and streaming, each with its index."""
    prompts: Any = ["one", "two"]
    answer = client.completions.create(model=SCRIPTED, prompt=prompts, max_tokens=10, logprobs=1)
    assert [choice.index for choice in answer.choices] == [0, 1]
    assert [choice.text for choice in answer.choices] == ["one", "two"]
    assert answer.choices[0].logprobs is not None
    texts = ["", ""]
    for chunk in client.completions.create(
        model=SCRIPTED, prompt=prompts, max_tokens=10, stream=True
    ):
        for choice in chunk.choices:
            texts[choice.index] += choice.text
    assert texts == ["one", "two"]
