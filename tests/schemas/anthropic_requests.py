"""Requests as Anthropic's clients write them, in short."""

from __future__ import annotations

from typing import Any

from tricorn.schemas.anthropic.request import MessagesRequest

USER = {"role": "user", "content": "Hi"}
F: dict[str, Any] = {"name": "f", "input_schema": {"type": "object"}}
USE = {"type": "tool_use", "id": "t1", "name": "f", "input": {"a": "é"}}
CALLED = [USER, {"role": "assistant", "content": [USE]}]
SCHEMA = {"type": "json_schema", "schema": {"type": "object"}}
PNG = {"type": "base64", "media_type": "image/png", "data": "AAAA"}


def parse(*messages: Any, **fields: Any) -> MessagesRequest:
    body = {"model": "m", "max_tokens": 5000, "messages": list(messages) or [USER], **fields}
    return MessagesRequest.parse(body)[0]


def messages(*given: Any, **fields: Any) -> list[dict[str, Any]]:
    return parse(*given, **fields).prompt().messages


def user(*blocks: Any) -> dict[str, Any]:
    return {"role": "user", "content": list(blocks)}


def assistant(*blocks: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": list(blocks)}


def system(text: str) -> dict[str, Any]:
    return {"role": "system", "content": [{"type": "text", "text": text}]}


def text(value: str) -> dict[str, Any]:
    return {"type": "text", "text": value}


def result(content: Any = "42", **fields: Any) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": "t1", "content": content, **fields}


def image(source: Any = PNG) -> dict[str, Any]:
    return {"type": "image", "source": source}
