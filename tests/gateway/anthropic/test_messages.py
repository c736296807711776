"""Anthropic's Messages API over HTTP, with scripted answers of a FakeEngine."""

from __future__ import annotations

import json

import httpx
from tests import images
from tests.gateway.anthropic.ask import MESSAGES, OSLO, USER, WEATHER, body, failed, streamed, whole


def test_a_message(http: httpx.Client) -> None:
    """Whole, with the request's id in the header that Anthropic's clients read."""
    answer = http.post(MESSAGES, json=body("echo"))
    message = answer.json()
    assert answer.headers["request-id"] == answer.headers["x-request-id"]
    assert message["id"].startswith("msg_")
    assert message["model"] == "echo"
    assert message["content"] == [{"type": "text", "text": "Hi", "citations": None}]
    assert (message["stop_reason"], message["stop_sequence"]) == ("end_turn", None)
    assert message["usage"]["output_tokens"] == 3


def test_a_stream(http: httpx.Client) -> None:
    """Named events, from message_start to message_stop, and nothing behind it."""
    found = streamed(http, "echo")
    assert [event["type"] for event in found] == [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    assert found[0]["message"]["usage"]["input_tokens"] == found[-2]["usage"]["input_tokens"] > 0


def test_a_stop_sequence(http: httpx.Client) -> None:
    """The one that ended the answer is told, and not shown."""
    asked = {"messages": [{"role": "user", "content": "one END two"}], "stop_sequences": ["END"]}
    message = whole(http, "echo", **asked)
    assert message["content"][0]["text"] == "one "
    assert (message["stop_reason"], message["stop_sequence"]) == ("stop_sequence", "END")
    ended = streamed(http, "echo", **asked)[-2]
    assert ended["delta"] == {"stop_reason": "stop_sequence", "stop_sequence": "END"}


def test_the_limit(http: httpx.Client) -> None:
    """max_tokens; 0 prefills only; where the context ends first, that is said."""
    message = whole(http, "echo", max_tokens=1)
    assert (message["content"][0]["text"], message["stop_reason"]) == ("H", "max_tokens")
    none = whole(http, "echo", max_tokens=0)
    assert (none["content"][0]["text"], none["stop_reason"]) == ("", "max_tokens")
    assert none["usage"]["output_tokens"] == 0
    long = [{"role": "user", "content": "x" * 3000}]
    full = whole(http, "echo", max_tokens=9999, messages=long)
    assert full["stop_reason"] == "model_context_window_exceeded"


def test_a_call(http: httpx.Client) -> None:
    """A block of text and one of a call, whole and in pieces."""
    text, call = whole(http, "caller", tools=[WEATHER])["content"]
    assert text["text"] == "Let me see."
    assert (call["name"], call["input"]) == ("get_weather", {"city": "Oslo"})
    found = streamed(http, "caller", tools=[WEATHER])
    starts = [event["content_block"] for event in found if "content_block" in event]
    assert [block["type"] for block in starts] == ["text", "tool_use"]
    assert starts[1]["input"] == {}
    pieces = [event["delta"]["partial_json"] for event in found
              if event.get("delta", {}).get("type") == "input_json_delta"]  # fmt: skip
    assert len(pieces) > 3
    assert json.loads("".join(pieces)) == {"city": "Oslo"}
    assert found[-2]["delta"]["stop_reason"] == "tool_use"


def test_a_call_that_is_cut(http: httpx.Client) -> None:
    """Its pieces are an object even so, the same one that a whole answer has."""
    cut = {"tools": [WEATHER], "max_tokens": len("Let me see.\n" + OSLO) - 19}
    message = whole(http, "caller", **cut)
    assert message["stop_reason"] == "max_tokens"
    assert message["content"][1]["input"] == {"city": "O"}
    pieces = [event["delta"]["partial_json"] for event in streamed(http, "caller", **cut)
              if event.get("delta", {}).get("type") == "input_json_delta"]  # fmt: skip
    assert json.loads("".join(pieces)) == {"city": "O"}


def test_a_call_that_must_be(http: httpx.Client) -> None:
    """any is enforced, or refused where the engine cannot."""
    asked = {"tools": [WEATHER], "tool_choice": {"type": "any"}}
    assert whole(http, "held-caller", **asked)["stop_reason"] == "tool_use"
    status, error = failed(http, model="echo", **asked)
    assert (status, error["code"], error["param"]) == (400, "unsupported_parameter", "tools")


def test_a_conversation_with_tools(http: httpx.Client) -> None:
    """What came back from the model goes to it again, with the result."""
    message = whole(http, "caller", tools=[WEATHER])
    call = message["content"][1]
    result = {"type": "tool_result", "tool_use_id": call["id"], "content": "Rain"}
    turns = [
        USER,
        {"role": "assistant", "content": message["content"]},
        {"role": "user", "content": [result]},
    ]
    answer = whole(http, "echo", messages=turns, tools=[WEATHER])
    assert "Rain" in answer["content"][0]["text"] or "tool_response" in answer["content"][0]["text"]


def test_thoughts(http: httpx.Client) -> None:
    """In a block in front, signed; absent where thinking is disabled."""
    message = whole(http, "thinker")
    thought, text = message["content"]
    assert (thought["type"], thought["thinking"]) == ("thinking", "Hm.")
    assert text["text"] == "Yes."
    kinds = [event["delta"]["type"] for event in streamed(http, "thinker") if "index" in event
             and "delta" in event]  # fmt: skip
    assert kinds.index("signature_delta") == kinds.index("text_delta") - 1
    assert kinds[0] == "thinking_delta"
    again = [USER, {"role": "assistant", "content": message["content"]}, USER]
    assert whole(http, "thinker", messages=again)["content"][0]["type"] == "thinking"
    silent = whole(http, "thinker", thinking={"type": "disabled"})
    assert [block["type"] for block in silent["content"]] == ["text"]


def test_a_format(http: httpx.Client) -> None:
    """The schema reaches the engine; an engine that cannot hold to it is said by the right name."""
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    config = {"format": {"type": "json_schema", "schema": schema}}
    answer = whole(http, "held", output_config=config)
    assert json.loads(answer["content"][0]["text"]) == schema
    status, error = failed(http, output_config=config)
    assert (status, error["param"]) == (400, "output_config.format")


def test_images(http: httpx.Client) -> None:
    """In base64; the limits and the model's own ability are those of all images."""
    data = images.data_url(images.png()).partition(",")[2]
    block = {
        "type": "image",
        "source": {"type": "base64", "media_type": "image/png", "data": data},
    }
    asked = {"messages": [{"role": "user", "content": [block, {"type": "text", "text": "?"}]}]}
    whole(http, "seeing", **asked)
    status, error = failed(http, **asked)
    assert (status, error["param"]) == (400, "messages[0].content[0].source.data")
    block["source"]["data"] = "no image"
    status, error = failed(http, **asked)
    assert (status, error["param"]) == (400, "messages[0].content[0].source.data")
    block["source"] = {"type": "url", "url": "https://example.org/a.png"}
    status, error = failed(http, **asked)
    assert (status, error["param"]) == (400, "messages[0].content[0].source.url")


def test_counting_tokens(http: httpx.Client) -> None:
    """As many as the message then has, tools and system prompt with it."""
    asked = {"messages": [USER], "system": "Be brief.", "tools": [WEATHER]}
    answer = http.post("/v1/messages/count_tokens?beta=true", json={"model": "echo", **asked})
    assert set(answer.json()) == {"input_tokens"}
    usage = whole(http, "echo", **asked)["usage"]
    assert answer.json()["input_tokens"] == (
        usage["input_tokens"] + usage["cache_read_input_tokens"]
    )
    assert answer.headers["request-id"]


def test_unknown_fields(http: httpx.Client) -> None:
    """Are named in the header that all routes have for it."""
    answer = http.post(MESSAGES, json=body("echo", colour=1))
    assert answer.status_code == 200
    assert answer.headers["x-tricorn-ignored"] == "colour"
