"""The Responses API: what is refused, and what is passed over by its name."""

from __future__ import annotations

from typing import Any

import httpx
import openai
import pytest
from tests.gateway.responses.ask import NOW, post


@pytest.mark.parametrize(
    ("fields", "code", "param"),
    [
        ({"background": True}, "unsupported_parameter", "background"),
        ({"conversation": "conv_1"}, "unsupported_parameter", "conversation"),
        ({"prompt": {"id": "pmpt_1"}}, "unsupported_parameter", "prompt"),
        ({"service_tier": "flex"}, "unsupported_parameter", "service_tier"),
        ({"tools": [NOW, {"type": "web_search"}]}, "unsupported_parameter", "tools[1].type"),
        ({"previous_response_id": "resp_x"}, "previous_response_not_found",
         "previous_response_id"),
        ({"input": [{"type": "item_reference", "id": "msg_x"}]}, "invalid_value", "input[0].id"),
        ({"input": [{"type": "function_call_output", "call_id": "x", "output": "y"}]},
         "invalid_value", "input[0].call_id"),
        ({"input": [{"type": "function_call", "call_id": "x", "name": "y", "arguments": "{"}]},
         "invalid_value", "input[0].arguments"),
        ({"input": "word " * 2000}, "context_length_exceeded", "input"),
        ({"n": 2}, "unsupported_parameter", "n"),
        ({"response_format": {"type": "text"}}, "unsupported_parameter", "response_format"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
@pytest.mark.parametrize("stream", [False, True])
def test_refused(
    http: httpx.Client, fields: dict[str, Any], code: str, param: str, stream: bool
) -> None:
    """400 that names the caller's own field, streaming or not."""
    answer = post(http, **{"model": "echo", "input": "Hi", "stream": stream} | fields)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (400, code, param)


def test_unknown_model(client: openai.OpenAI) -> None:
    """404, as everywhere."""
    with pytest.raises(openai.NotFoundError) as caught:
        client.responses.create(model="gpt-9", input="Hi")
    assert caught.value.code == "model_not_found"


def test_fields_that_nobody_knows(http: httpx.Client) -> None:
    """They are named, inside of items, tools and objects too."""
    answer = post(
        http,
        model="echo",
        input=[{"role": "user", "content": "Hi", "mood": "x", "status": "completed"}],
        tools=[NOW | {"colour": "red"}],
        text={"size": 1},
        flavour="sweet",
    )
    assert answer.status_code == 200
    names = set(answer.headers["x-tricorn-ignored"].split(", "))
    assert names == {"input[0].mood", "tools[0].colour", "text.size", "flavour"}
