"""Ollama's own client against a server that is Tricorn: nothing but the address is changed."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator
from typing import Any

import ollama
import pytest

MODEL = os.environ["TRICORN_MODEL"]
EMBEDDER = os.environ.get("TRICORN_EMBEDDER", "")
SCRIPTED = os.environ.get("TRICORN_SCRIPTED", "")
THINKER = os.environ.get("TRICORN_THINKER", "")

FRANCE: Any = [{"role": "user", "content": "Name the capital of France."}]
GREEDY = {"temperature": 0, "num_predict": 24}
PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string", "maxLength": 12}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}
CALL = '<tool_call>{"name": "get_weather", "arguments": {"city": "Oslo"}}</tool_call>'


def get_weather(city: str) -> str:
    """Tell the weather.

    Args:
        city: Where.
    """
    return f"It is warm in {city}."


@pytest.fixture
def client() -> Iterator[ollama.Client]:
    with ollama.Client(os.environ["TRICORN_URL"]) as made:
        yield made


def needs(model: str) -> Any:
    return pytest.mark.skipif(not model, reason="the server has no model for it")


def check_end(answer: Any) -> None:
    """All that Ollama tells of an answer that has ended."""
    assert answer.done
    assert answer.prompt_eval_count > 0
    assert answer.eval_count > 0
    assert 0 <= answer.load_duration <= answer.total_duration
    assert 0 < answer.prompt_eval_duration <= answer.total_duration
    assert 0 < answer.eval_duration <= answer.total_duration


def test_chat(client: ollama.Client) -> None:
    answer = client.chat(MODEL, FRANCE, options=GREEDY)
    assert "Paris" in (answer.message.content or "")
    assert (answer.model, answer.message.role) == (MODEL, "assistant")
    assert answer.done_reason in ("stop", "length")
    check_end(answer)


def test_chat_stream(client: ollama.Client) -> None:
    whole = client.chat(MODEL, FRANCE, options=GREEDY)
    chunks = list(client.chat(MODEL, FRANCE, options=GREEDY, stream=True))
    assert "".join(chunk.message.content or "" for chunk in chunks) == whole.message.content
    assert [chunk.done for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
    assert chunks[-1].eval_count == whole.eval_count
    check_end(chunks[-1])


def test_many_at_once() -> None:
    async def ask() -> list[str]:
        async with ollama.AsyncClient(os.environ["TRICORN_URL"]) as client:
            answers = [client.chat(MODEL, FRANCE, options=GREEDY) for _ in range(3)]
            return [answer.message.content or "" for answer in await asyncio.gather(*answers)]

    assert all("Paris" in text for text in asyncio.run(ask()))


def test_latest(client: ollama.Client) -> None:
    """The tag that Ollama's clients put behind a name."""
    answer = client.chat(f"{MODEL}:latest", FRANCE, options={"num_predict": 1})
    assert answer.model == f"{MODEL}:latest"


def test_schema(client: ollama.Client) -> None:
    question: Any = [{"role": "user", "content": "Describe a person as JSON."}]
    options = {"temperature": 0, "num_predict": 100}
    answer = client.chat(MODEL, question, format=PERSON, options=options)
    person = json.loads(answer.message.content or "")
    assert set(person) == {"name", "age"}
    assert isinstance(person["age"], int)


def test_json(client: ollama.Client) -> None:
    options = {"temperature": 0, "num_predict": 200, "stop": ["\n\n\n"]}
    answer = client.generate(MODEL, 'Write {"a": 1} and nothing else.', format="json",
                             options=options)  # fmt: skip
    assert answer.response.startswith("{")


def test_logprobs(client: ollama.Client) -> None:
    answer = client.chat(MODEL, FRANCE, options=GREEDY, logprobs=True, top_logprobs=2)
    assert answer.logprobs
    assert "".join(one.token for one in answer.logprobs) == answer.message.content
    for one in answer.logprobs:
        assert one.top_logprobs
        assert one.token == one.top_logprobs[0].token
        assert one.logprob <= 0


def test_tools_of_a_real_model(client: ollama.Client) -> None:
    """Whatever it makes of them, it is text or calls with arguments."""
    answer = client.chat(MODEL, FRANCE, tools=[get_weather], options=GREEDY)
    for call in answer.message.tool_calls or []:
        assert call.function.name == "get_weather"
    assert answer.message.content or answer.message.tool_calls


@needs(SCRIPTED)
@pytest.mark.parametrize("stream", [False, True])
def test_tool_loop(client: ollama.Client, stream: bool) -> None:
    """A call, whole and with its arguments as an object; then an answer made of its result."""
    messages: list[Any] = [{"role": "user", "content": CALL}]
    tools = [get_weather]
    if stream:
        chunks = list(client.chat(SCRIPTED, messages, tools=tools, stream=True))
        calls = [call for chunk in chunks for call in chunk.message.tool_calls or []]
        messages.append({"role": "assistant", "tool_calls": calls})
    else:
        answer = client.chat(SCRIPTED, messages, tools=tools)
        calls = list(answer.message.tool_calls or [])
        messages.append(answer.message)
    assert [(call.function.name, call.function.arguments) for call in calls] == [
        ("get_weather", {"city": "Oslo"})
    ]
    result = get_weather(**calls[0].function.arguments)
    messages.append({"role": "tool", "tool_name": "get_weather", "content": result})
    last = client.chat(SCRIPTED, messages, tools=tools)
    assert "It is warm in Oslo." in (last.message.content or "")


@needs(THINKER)
@pytest.mark.parametrize("think", [None, True, "low"])
def test_thinking(client: ollama.Client, think: Any) -> None:
    answer = client.chat(THINKER, FRANCE, think=think)
    assert (answer.message.thinking or "").strip() == "It is a river."
    assert (answer.message.content or "").strip() == "The Seine."


def test_thinking_of_a_model_that_does_not(client: ollama.Client) -> None:
    with pytest.raises(ollama.ResponseError, match="does not think") as caught:
        client.chat(MODEL, FRANCE, think=True)
    assert caught.value.status_code == 400


def test_generate(client: ollama.Client) -> None:
    answer = client.generate(MODEL, "Name the capital of France.", system="Be brief.",
                             options=GREEDY)  # fmt: skip
    assert "Paris" in answer.response
    check_end(answer)


def test_generate_raw_stream(client: ollama.Client) -> None:
    chunks = client.generate(MODEL, "The capital of France is", raw=True, stream=True,
                             options={"temperature": 0, "num_predict": 6})  # fmt: skip
    assert "Paris" in "".join(chunk.response for chunk in chunks)


def test_load(client: ollama.Client) -> None:
    assert client.generate(MODEL).done_reason == "load"
    assert client.chat(MODEL).done_reason == "load"
    assert MODEL + ":latest" in [model.model for model in client.ps().models]


def test_list_and_show(client: ollama.Client) -> None:
    listed = {model.model: model for model in client.list().models}
    entry = listed[f"{MODEL}:latest"]
    assert entry.size
    assert entry.digest
    assert entry.modified_at
    client.generate(MODEL)
    shown = client.show(f"{MODEL}:latest")
    assert {"completion", "tools"} <= set(shown.capabilities or [])
    assert shown.details
    assert shown.details.family
    assert shown.modelinfo
    assert shown.modelinfo[f"{shown.details.family}.context_length"] > 0
    assert shown.template


@needs(EMBEDDER)
def test_embed(client: ollama.Client) -> None:
    answer = client.embed(EMBEDDER, ["The river runs.", "A stream flows."])
    first, second = answer.embeddings
    assert sum(a * b for a, b in zip(first, second, strict=True)) > 0.5
    assert answer.prompt_eval_count
    single = client.embeddings(EMBEDDER, "The river runs.").embedding
    assert single == pytest.approx(first, abs=1e-4)


def test_embed_with_a_model_that_does_not(client: ollama.Client) -> None:
    with pytest.raises(ollama.ResponseError, match="makes no embeddings") as caught:
        client.embed(MODEL, "a")
    assert caught.value.status_code == 400


@pytest.mark.parametrize("stream", [False, True])
def test_errors(client: ollama.Client, stream: bool) -> None:
    with pytest.raises(ollama.ResponseError, match="does not exist") as caught:
        list(client.chat("no-such-model", FRANCE, stream=stream))
    assert caught.value.status_code == 404
    with pytest.raises(ollama.ResponseError, match=r"options\.mirostat") as caught:
        list(client.chat(MODEL, FRANCE, stream=stream, options={"mirostat": 1}))
    assert caught.value.status_code == 400
    with pytest.raises(ollama.ResponseError, match=r"options\.num_ctx") as caught:
        list(client.chat(MODEL, FRANCE, stream=stream, options={"num_ctx": 10**9}))
    assert caught.value.status_code == 400


def test_pull_of_what_is_no_hub_id(client: ollama.Client) -> None:
    with pytest.raises(ollama.ResponseError, match="is no model of the hub") as caught:
        client.pull("llama3")
    assert caught.value.status_code == 400
