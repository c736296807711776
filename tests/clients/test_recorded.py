"""What n8n, Dify and others send, byte for byte over a socket, and what they read of the answer.

recorded/*.json, each a request: `source` says how it is known. $MODEL is the scripted model, which
repeats the last message.
"""

from __future__ import annotations

import http.client
import json
from pathlib import Path
from typing import Any

import pytest
from tests.clients.models import SCRIPTED
from tests.e2e.server import Server

FOLDER = Path(__file__).parent / "recorded"
REQUESTS = sorted(file.stem for file in FOLDER.glob("*.json"))


@pytest.mark.parametrize("name", REQUESTS)
def test_what_clients_send(name: str, served: Server) -> None:
    """200, in the shape that this client reads, with all that it reads."""
    text = (FOLDER / f"{name}.json").read_text(encoding="utf-8")
    request = json.loads(text.replace("$MODEL", SCRIPTED))
    status, headers, body = send(request, served)
    assert status == 200, body
    assert headers.get("x-tricorn-ignored") == request["answer"].get("ignored")
    check(request["answer"], headers, body.decode())


@pytest.mark.parametrize(
    ("model", "field", "value", "status", "param"),
    [
        ("gpt-4o-mini", "temperature", 0, 404, "model"),
        (SCRIPTED, "temperature", 9, 400, "temperature"),
        (SCRIPTED, "messages", [{"role": "wizard", "content": "?"}], 400, "messages[0].role"),
    ],
)
def test_what_errors_tell(
    model: str, field: str, value: Any, status: int, param: str, served: Server
) -> None:
    """n8n and Dify go by the status; the envelope has all four, `code` text or null."""
    messages = [{"role": "user", "content": "ping"}]
    body = {"model": model, "messages": messages, "stream": True, field: value}
    request = {"method": "POST", "path": "/v1/chat/completions", "headers": {}, "body": body}
    found, headers, text = send(request, served)
    assert found == status
    assert headers["content-type"] == "application/json"
    error = json.loads(text)["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["param"] == param
    assert error["code"] is None or isinstance(error["code"], str)


# --- sending ------------------------------------------------------------------------------------


def send(request: dict[str, Any], served: Server) -> tuple[int, http.client.HTTPMessage, bytes]:
    """Over a connection of its own; `chunked`: in three pieces, without a content-length."""
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=60)
    headers = {"content-type": "application/json", "authorization": "Bearer none"}
    headers |= request["headers"]
    body: Any = json.dumps(request["body"]).encode() if "body" in request else None
    chunked = request.get("chunked", False)
    if chunked:
        headers["transfer-encoding"] = "chunked"
        third = len(body) // 3 + 1
        body = [body[start : start + third] for start in range(0, len(body), third)]
    try:
        connection.request(
            request["method"], request["path"], body, headers, encode_chunked=chunked
        )
        response = connection.getresponse()
        return response.status, response.headers, response.read()
    finally:
        connection.close()


def events(body: str) -> list[dict[str, Any]]:
    """A stream's events, split as Dify does: at empty lines."""
    blocks = [block for block in body.split("\n\n") if block and not block.startswith(":")]
    assert body.endswith("\n\n")
    found = []
    for block in blocks:
        *before, data = block.split("\n")
        assert data.startswith("data: ")
        assert all(line.startswith("event: ") for line in before)
        found.append(data.removeprefix("data: "))
    if found[-1] == "[DONE]":
        found.pop()
    return [json.loads(data) for data in found]


# --- what is read -------------------------------------------------------------------------------


def check(wanted: dict[str, Any], headers: http.client.HTTPMessage, body: str) -> None:
    shape, streams = wanted["shape"].removesuffix(" stream"), wanted["shape"].endswith(" stream")
    kind = "text/event-stream" if streams else "application/json"
    assert headers["content-type"].startswith(kind)
    if shape == "models":
        check_models(json.loads(body))
        return
    readers: Any = {
        "chat": streamed_chat if streams else whole_chat,
        "completion": streamed_completion if streams else whole_completion,
        "response": streamed_response if streams else whole_response,
    }
    answer = events(body) if streams else json.loads(body)
    text, calls = readers[shape](answer, wanted)
    assert text == wanted.get("text", "")
    found = [{"name": name, "arguments": json.loads(arguments)} for name, arguments in calls]
    assert found == wanted.get("calls", [])


Read = tuple[str, list[tuple[str, str]]]
"""The text, and the calls' names and arguments."""


def whole_chat(answer: dict[str, Any], wanted: dict[str, Any]) -> Read:
    assert answer["object"] == "chat.completion"
    assert answer["model"] == SCRIPTED
    assert answer["id"]
    check_usage(answer["usage"])
    [choice] = answer["choices"]
    message = choice["message"]
    assert message["role"] == "assistant"
    assert message["refusal"] is None
    assert choice["logprobs"] is None
    calls = message.get("tool_calls") or []
    assert choice["finish_reason"] == ("tool_calls" if calls else "stop")
    return message["content"] or "", [read_call(call) for call in calls]


def streamed_chat(chunks: list[dict[str, Any]], wanted: dict[str, Any]) -> Read:
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    assert len({chunk["id"] for chunk in chunks}) == 1
    if wanted.get("usage"):
        last = chunks.pop()
        assert last["choices"] == []
        check_usage(last["usage"])
    assert all(chunk.get("usage") is None for chunk in chunks)
    text, calls = "", dict[int, dict[str, Any]]()
    for chunk in chunks:
        [choice] = chunk["choices"]
        text += choice["delta"].get("content") or ""
        for piece in choice["delta"].get("tool_calls") or []:
            if piece["index"] not in calls:
                calls[piece["index"]] = piece  # the first has its id, type and name
            else:
                calls[piece["index"]]["function"]["arguments"] += piece["function"]["arguments"]
    assert chunks[0]["choices"][0]["delta"]["role"] == "assistant"
    reasons = [chunk["choices"][0]["finish_reason"] for chunk in chunks]
    assert reasons[:-1] == [None] * (len(chunks) - 1)
    assert reasons[-1] == ("tool_calls" if calls else "stop")
    return text, [read_call(call) for call in calls.values()]


def whole_completion(answer: dict[str, Any], wanted: dict[str, Any]) -> Read:
    assert answer["object"] == "text_completion"
    check_usage(answer["usage"])
    [choice] = answer["choices"]
    assert choice["finish_reason"] == "stop"
    return choice["text"], []


def streamed_completion(chunks: list[dict[str, Any]], wanted: dict[str, Any]) -> Read:
    choices = [choice for chunk in chunks for choice in chunk["choices"]]
    assert choices[-1]["finish_reason"] == "stop"
    return "".join(choice["text"] for choice in choices), []


def whole_response(answer: dict[str, Any], wanted: dict[str, Any]) -> Read:
    assert answer["object"] == "response"
    assert answer["status"] == "completed"
    assert answer["error"] is None
    assert answer["incomplete_details"] is None
    usage = answer["usage"]
    assert usage["input_tokens"] + usage["output_tokens"] == usage["total_tokens"]
    text, calls = "", []
    for item in answer["output"]:
        if item["type"] == "function_call":
            assert item["call_id"]
            calls.append((item["name"], item["arguments"]))
        else:
            assert (item["type"], item["role"]) == ("message", "assistant")
            for part in item["content"]:
                assert (part["type"], part["annotations"]) == ("output_text", [])
                text += part["text"]
    return text, calls


def streamed_response(found: list[dict[str, Any]], wanted: dict[str, Any]) -> Read:
    assert [event["sequence_number"] for event in found] == list(range(len(found)))
    assert found[0]["type"] == "response.created"
    assert found[-1]["type"] == "response.completed"
    deltas = [e["delta"] for e in found if e["type"] == "response.output_text.delta"]
    text, calls = whole_response(found[-1]["response"], wanted)
    assert "".join(deltas) == text
    return text, calls


def check_models(answer: dict[str, Any]) -> None:
    assert answer["object"] == "list"
    assert SCRIPTED in [model["id"] for model in answer["data"]]
    assert {model["object"] for model in answer["data"]} == {"model"}


def check_usage(usage: dict[str, Any]) -> None:
    assert usage["prompt_tokens"] > 0
    assert usage["prompt_tokens"] + usage["completion_tokens"] == usage["total_tokens"]
    assert "cached_tokens" in usage["prompt_tokens_details"]


def read_call(call: dict[str, Any]) -> tuple[str, str]:
    assert call["type"] == "function"
    assert call["id"]
    return call["function"]["name"], call["function"]["arguments"]
