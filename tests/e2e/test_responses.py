"""The Responses API with SmolLM2 and several gateway workers: answers, streams, conversations."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from tests.e2e.server import MODEL, Server, running, user

pytestmark = pytest.mark.timeout(180)

NOTE: Any = {
    "type": "function",
    "name": "note",
    "description": "Writes a city down.",
    "parameters": {
        "type": "object",
        "properties": {"city": {"enum": ["Paris", "Rome"]}},
        "required": ["city"],
        "additionalProperties": False,
    },
    "strict": True,
}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running(workers=3) as found:
        yield found


def test_responses(server: Server) -> None:
    """What is said agrees with chat completions; a conversation goes on in whichever worker, a
    stream says the same, a required call is one, and a restart of a worker loses nothing."""
    client = server.client
    question = "Name the capital of France."
    options: Any = {"model": MODEL, "temperature": 0}
    chat = client.chat.completions.create(messages=user(question), max_tokens=24, **options)
    first = client.responses.create(input=question, max_output_tokens=24, **options)
    assert first.output_text == chat.choices[0].message.content
    assert "Paris" in first.output_text

    with client.responses.stream(input=question, max_output_tokens=24, **options) as stream:
        assert stream.get_final_response().output_text == first.output_text

    # Each new connection may be another worker's.
    for _ in range(6):
        with server.sdk() as other:
            assert other.responses.retrieve(first.id).output_text == first.output_text
    second = client.responses.create(
        input="And of Italy?", previous_response_id=first.id, max_output_tokens=24, **options
    )
    assert second.usage is not None
    assert first.usage is not None
    assert second.usage.input_tokens > first.usage.total_tokens
    assert second.usage.input_tokens_details.cached_tokens > first.usage.input_tokens

    called = client.responses.create(
        input=question,
        tools=[NOTE],
        tool_choice="required",
        parallel_tool_calls=False,
        max_output_tokens=80,
        **options,
    )
    [call] = [item for item in called.output if item.type == "function_call"]
    assert json.loads(call.arguments)["city"] in ("Paris", "Rome")
    told = client.responses.create(
        previous_response_id=called.id,
        input=[{"type": "function_call_output", "call_id": call.call_id, "output": "noted"}],
        max_output_tokens=24,
        **options,
    )
    assert told.output

    for gateway in server.gateways():
        gateway.kill()
    server.wait_ready()
    again = server.sdk(max_retries=3).responses.retrieve(second.id)
    assert again.output_text == second.output_text
    with pytest.raises(openai.BadRequestError) as caught:
        client.responses.create(input="word " * 12000, **options)
    assert (caught.value.code, caught.value.param) == ("context_length_exceeded", "input")
