"""OpenAI's Agents SDK: tools, handoffs, structured output and streams."""

from __future__ import annotations

import json
from typing import Any, Literal

import pytest
from agents import Agent, Model, ModelSettings, Runner, function_tool
from pydantic import BaseModel, Field

SHORT = ModelSettings(temperature=0, max_tokens=200)


class Weather(BaseModel):
    city: str = Field(max_length=20)
    sky: Literal["clear", "grey"]


@function_tool
def temperature(city: str) -> str:
    """Tells how warm it is in a city."""
    return f"{len(city)} degrees in {city}"


@function_tool
def sky(city: str) -> str:
    """Tells what the sky looks like."""
    return json.dumps({"city": city, "sky": "grey"})


def call(name: str, **arguments: Any) -> str:
    """What a model writes to call a tool; the scripted one writes what it is asked."""
    wanted = json.dumps({"name": name, "arguments": arguments})
    return f"<tool_call>{wanted}</tool_call>"


async def test_an_answer(smollm: Model) -> None:
    """Instructions and a question are answered, and the usage is counted."""
    agent = Agent(name="plain", instructions="Be brief.", model=smollm, model_settings=SHORT)
    result = await Runner.run(agent, "Name the capital of France.")
    assert "Paris" in result.final_output
    usage = result.context_wrapper.usage
    assert usage.requests == 1
    assert usage.input_tokens > 0
    assert usage.output_tokens > 0
    assert usage.total_tokens == usage.input_tokens + usage.output_tokens


async def test_a_tool(scripted: Model) -> None:
    """The tool runs, and the model hears what it said."""
    agent = Agent(name="caller", model=scripted, tools=[temperature])
    result = await Runner.run(agent, call("temperature", city="Oslo"))
    assert result.final_output == "4 degrees in Oslo"
    kinds = [item.type for item in result.new_items]
    assert kinds == ["tool_call_item", "tool_call_output_item", "message_output_item"]


async def test_a_tool_in_a_stream(scripted: Model) -> None:
    """The same while it streams; text arrives in pieces."""
    agent = Agent(name="caller", model=scripted, tools=[temperature])
    running = Runner.run_streamed(agent, call("temperature", city="Oslo"))
    names, text = [], ""
    async for event in running.stream_events():
        if event.type == "agent_updated_stream_event":
            continue
        if event.type == "run_item_stream_event":
            names.append(event.name)
        elif event.data.type == "response.output_text.delta":
            text += event.data.delta
    assert running.final_output == text == "4 degrees in Oslo"
    assert names == ["tool_called", "tool_output", "message_output_created"]


async def test_a_handoff(scripted: Model) -> None:
    """Another agent takes over, with the whole conversation."""
    german = Agent(name="German agent", instructions="Speak German.", model=scripted)
    triage = Agent(name="Triage", model=scripted, handoffs=[german])
    result = await Runner.run(triage, call("transfer_to_german_agent"))
    assert result.last_agent is german
    assert json.loads(result.final_output) == {"assistant": "German agent"}


async def test_the_conversation_goes_on(scripted: Model) -> None:
    """What a run leaves behind is the next one's input."""
    agent = Agent(name="caller", model=scripted, tools=[temperature])
    first = await Runner.run(agent, call("temperature", city="Oslo"))
    heard = [*first.to_input_list(), {"role": "user", "content": call("temperature", city="Rom")}]
    second = await Runner.run(agent, heard)
    assert second.final_output == "3 degrees in Rom"


@pytest.mark.parametrize("streaming", [False, True])
async def test_a_tool_and_an_output_type(scripted: Model, streaming: bool) -> None:
    """`tools` and a schema for the answer in one request: a call first, an object in the end."""
    agent = Agent(name="both", model=scripted, tools=[sky], output_type=Weather)
    question = call("sky", city="Oslo")
    if streaming:
        running = Runner.run_streamed(agent, question)
        async for _ in running.stream_events():
            pass
        found = running.final_output
    else:
        found = (await Runner.run(agent, question)).final_output
    assert found == Weather(city="Oslo", sky="grey")


async def test_an_output_type_is_kept(smollm: Model) -> None:
    """A small model's answer is an object of the class all the same."""
    agent = Agent(name="typed", model=smollm, output_type=Weather, model_settings=SHORT)
    result = await Runner.run(agent, "The sky over Oslo is grey. Tell the weather as JSON.")
    assert isinstance(result.final_output, Weather)


async def test_a_tool_is_required(smollm: Model) -> None:
    """tool_choice: a model that knows no tools calls this one, with arguments that it takes."""
    agent = Agent(
        name="forced",
        model=smollm,
        tools=[temperature],
        model_settings=ModelSettings(
            temperature=0, max_tokens=200, tool_choice="temperature", parallel_tool_calls=False
        ),
        tool_use_behavior="stop_on_first_tool",
    )
    result = await Runner.run(agent, "How warm is it in Oslo?")
    assert " degrees in " in result.final_output
