"""What a request says, as spans have it: only where LOG_PROMPTS is on. Never what answers it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import msgspec

from tricorn.engines.request import ChatPrompt
from tricorn.gateway.requests.prompt_log import MAX_CHARACTERS
from tricorn.worker.protocol import Embed, FillPrompt, Score, TextPrompt

Json = dict[str, Any]


def messages(prompts: Sequence[msgspec.Struct]) -> str:
    """As `gen_ai.input.messages` has them: a JSON list, cut where it is long; empty where there is
    no text. Images are named, and tokens left out."""
    told = [message for prompt in prompts for message in _messages(prompt)]
    text = json.dumps(told, ensure_ascii=False) if told else ""
    left = len(text) - MAX_CHARACTERS
    return text if left <= 0 else f"{text[:MAX_CHARACTERS]}… ({left} more characters)"


def _messages(prompt: msgspec.Struct) -> list[Json]:
    match prompt:
        case ChatPrompt(messages=chat):
            return [{"role": one.get("role", ""), "parts": _parts(one)} for one in chat]
        case TextPrompt(text):
            return [_said(text)]
        case FillPrompt(before, after):
            return [_said(text) for text in (before, after) if isinstance(text, str)]
        case Embed(prompts=texts):
            return [_said(one.text) for one in texts if isinstance(one, TextPrompt)]
        case Score(queries=queries, documents=documents):
            return [_said(text) for text in (*queries, *documents)]
    return []


def _said(text: str) -> Json:
    return {"role": "user", "parts": [{"type": "text", "content": text}]}


def _parts(message: Json) -> list[Json]:
    content = message.get("content")
    if message.get("role") == "tool":
        call = message.get("tool_call_id")
        return [{"type": "tool_call_response", "id": call, "response": content}]
    parts: list[Json] = []
    if isinstance(content, str):
        parts.append({"type": "text", "content": content})
    for part in content if isinstance(content, list) else ():
        kind = part.get("type")
        parts.append({"type": kind} | ({"content": part["text"]} if kind == "text" else {}))
    for call in message.get("tool_calls") or ():
        function = call["function"]
        parts.append(
            {
                "type": "tool_call",
                "id": call.get("id"),
                "name": function["name"],
                "arguments": function["arguments"],
            }
        )
    return parts
