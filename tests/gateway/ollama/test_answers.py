"""Ollama's chat, generate and embed by plain HTTP: exact shapes, and streams line by line."""

from __future__ import annotations

import base64
import json

import httpx
from tests.gateway.ollama.ask import USER, chat, generate, refusal
from tests.gateway.tool_answers import NOW, WEATHER
from tests.images import png

# --- answers ------------------------------------------------------------------------------------


def test_stream_is_the_default(api: httpx.Client) -> None:
    """One object a line; the last one has the counts."""
    response = api.post("/chat", json={"model": "hello", "messages": USER})
    assert response.headers["content-type"] == "application/x-ndjson"
    assert response.text.endswith("}\n")
    chunks = [json.loads(line) for line in response.text.split("\n")[:-1]]
    assert all(list(chunk) == ["model", "created_at", "message", "done"] for chunk in chunks[:-1])
    assert "".join(chunk["message"]["content"] for chunk in chunks) == "Hello!"
    assert list(chunks[-1]) == [
        "model",
        "created_at",
        "message",
        "done",
        "done_reason",
        "total_duration",
        "load_duration",
        "prompt_eval_count",
        "prompt_eval_duration",
        "eval_count",
        "eval_duration",
    ]
    assert chunks[-1]["message"] == {"role": "assistant", "content": ""}
    assert (chunks[-1]["done_reason"], chunks[-1]["eval_count"]) == ("stop", 7)


def test_lines_are_lines_to_everyone(api: httpx.Client) -> None:
    """Python's `splitlines` takes more for line ends than JSON does; Ollama's client uses it."""
    response = api.post("/generate", json={"model": "lines", "prompt": "Hi"})
    chunks = [json.loads(line) for line in response.text.splitlines()]
    assert "".join(chunk["response"] for chunk in chunks) == "a\u2028b\x85c"


def test_chat(api: httpx.Client) -> None:
    answer = chat(api, "hello", options={"num_predict": 2})
    assert answer["message"] == {"role": "assistant", "content": "He"}
    assert (answer["done_reason"], answer["eval_count"]) == ("length", 2)


def test_generate(api: httpx.Client) -> None:
    """Without `raw` it is a chat of one turn; the echo model says the last line of what it got."""
    assert generate(api, "echo")["response"] == "Hi"
    with_system = generate(api, "echo", system="Be brief.")
    assert with_system["prompt_eval_count"] == len("system: Be brief.\nuser: Hi\nassistant: ")
    assert generate(api, "echo", raw=True)["prompt_eval_count"] == len("Hi")
    assert generate(api, "gap", suffix=" there")["prompt_eval_count"] == len("Hi there") + 3


def test_model_without_a_template(api: httpx.Client) -> None:
    """It takes plain prompts, and the refusal of a chat says how."""
    for route, more in (("/chat", {"messages": USER}), ("/generate", {"prompt": "Hi"})):
        status, text = refusal(api, route, model="no-chat", **more)
        assert (status, "'raw': true" in text) == (400, True)
    assert generate(api, "no-chat", raw=True)["response"] == "Hi"


def test_format(api: httpx.Client) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    assert json.loads(chat(api, "bound", format=schema)["message"]["content"]) == schema
    assert generate(api, "bound", format="json")["response"] == "{}"
    status, text = refusal(api, "/chat", model="echo", messages=USER, format="json")
    assert status == 400
    assert text.startswith("'format' is not supported")


def test_tools(api: httpx.Client) -> None:
    message = chat(api, "caller", tools=[WEATHER, NOW])["message"]
    assert message["content"] == "Let me see."
    assert [call["function"] for call in message["tool_calls"]] == [
        {"index": 0, "name": "get_weather", "arguments": {"city": "Oslo"}},
        {"index": 1, "name": "now", "arguments": {}},
    ]


def test_tool_results(api: httpx.Client) -> None:
    """Calls as objects go back into the chat, and results without ids find their way."""
    call = {"function": {"name": "get_weather", "arguments": {"city": "Oslo"}}}
    messages = [
        *USER,
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "tool_name": "get_weather", "content": "Warm."},
    ]
    answer = chat(api, "echo", messages=messages, tools=[WEATHER])
    assert "tool_response" in answer["message"]["content"]


def test_thinking(api: httpx.Client) -> None:
    answer = chat(api, "thinker", think=True)
    assert answer["message"] == {"role": "assistant", "content": "Yes.", "thinking": "Hm."}
    status, text = refusal(api, "/chat", model="echo", messages=USER, think=True)
    assert (status, "'think'" in text) == (400, True)
    assert chat(api, "echo", think=False)["message"]["content"] == "Hi"


def test_logprobs(api: httpx.Client) -> None:
    entries = chat(api, "hello", logprobs=True, top_logprobs=1)["logprobs"]
    assert "".join(entry["token"] for entry in entries) == "Hello!"
    assert [top["token"] for top in entries[0]["top_logprobs"]] == ["H"]


def test_images(api: httpx.Client) -> None:
    image = base64.b64encode(png()).decode()
    seen = chat(api, "seeing", messages=[{**USER[0], "images": [image]}])
    assert "<image" in seen["message"]["content"]
    assert "<image" in generate(api, "seeing", images=[image])["response"]
    status, text = refusal(api, "/generate", model="echo", prompt="Hi", images=[image])
    assert (status, text) == (400, "'echo' takes no images.")
    status, text = refusal(api, "/generate", model="seeing", prompt="Hi", images=["?"])
    assert (status, "'images[0]'" in text) == (400, True)


def test_begun_answer(api: httpx.Client) -> None:
    """A last message of the assistant is the beginning of the answer."""
    messages = [*USER, {"role": "assistant", "content": "We say"}]
    answer = chat(api, "echo", messages=messages)
    assert answer["prompt_eval_count"] == len("user: Hi\nassistant: We say")


def test_truncation(api: httpx.Client) -> None:
    """Only on demand, and told in a header."""
    long = [{"role": "user", "content": "x" * 3000}, {"role": "assistant", "content": "y"}]
    body = {"model": "hello", "messages": long + long + USER, "stream": False}
    assert api.post("/chat", json=body).status_code == 400
    response = api.post("/chat", json=body | {"truncate": True})
    assert response.json()["message"]["content"] == "Hello!"
    assert "turns=1" in response.headers["x-tricorn-truncated"]


# --- vectors ------------------------------------------------------------------------------------


def test_embed(api: httpx.Client) -> None:
    answer = api.post("/embed", json={"model": "vectors", "input": ["a", "b"]}).json()
    assert list(answer) == [
        "model",
        "embeddings",
        "total_duration",
        "load_duration",
        "prompt_eval_count",
    ]
    assert [vector.index(1.0) for vector in answer["embeddings"]] == [1, 2]
    assert (answer["model"], answer["prompt_eval_count"]) == ("vectors", 2)
    assert 0 <= answer["load_duration"] <= answer["total_duration"]


def test_embeddings(api: httpx.Client) -> None:
    answer = api.post("/embeddings", json={"model": "vectors", "prompt": "a"}).json()
    assert list(answer) == ["embedding"]
    assert answer["embedding"].index(1.0) == 1


def test_embed_refusals(api: httpx.Client) -> None:
    status, text = refusal(api, "/embed", model="echo", input="a")
    assert (status, "makes no embeddings" in text) == (400, True)
    status, text = refusal(api, "/embed", model="vectors", input="a", dimensions=4)
    assert (status, "'dimensions'" in text) == (400, True)
    status, text = refusal(api, "/embed", model="vectors", input=["a", "x" * 5000], truncate=True)
    assert (status, "4096" in text) == (400, True)
