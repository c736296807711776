"""Tools for a model whose chat template knows none: described and replayed in plain messages."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

_HEAD = "You can call these functions:\n"
_HOW = (
    "\n\nTo call one, write nothing but the call:\n"
    '<tool_call>\n{"name": "NAME", "arguments": {…}}\n</tool_call>'
)
_SEVERAL = "\nTo call several, write one such block after the other."
_MUST = "\nAnswer with a call now."
_MAY = "\nWhere no function helps, answer in plain text."


def described(tools: Sequence[Mapping[str, Any]], *, required: bool, parallel: bool) -> str:
    """What a system message says about the tools."""
    lines = [json.dumps(_brief(tool["function"]), ensure_ascii=False) for tool in tools]
    several = _SEVERAL if parallel else ""
    return _HEAD + "\n".join(lines) + _HOW + several + (_MUST if required else _MAY)


def _brief(function: Mapping[str, Any]) -> dict[str, Any]:
    keys = ("name", "description", "parameters")
    return {key: function[key] for key in keys if function.get(key)}


def plain_messages(
    messages: Sequence[Mapping[str, Any]], told: str, *, system_role: bool = True
) -> list[dict[str, Any]]:
    """The conversation without tool roles: calls as the text that they were, results as the
    user's.

    told: put at the end of the system message, which is made where there is none; without a
    system_role, in front of the first message of the user.
    """
    plain: list[dict[str, Any]] = []
    for message in messages:
        match message.get("role"):
            case "assistant" if message.get("tool_calls"):
                plain.append(_with_calls(message))
            case "tool":
                text = f"<tool_response>\n{message['content']}\n</tool_response>"
                if plain and plain[-1].get("role") == "user" and plain[-1].get("_results"):
                    plain[-1]["content"] += "\n" + text
                else:
                    plain.append({"role": "user", "content": text, "_results": True})
            case _:
                plain.append(dict(message))
    for message in plain:
        message.pop("_results", None)
    if not told:
        return plain
    if not system_role:
        return _before_first_user(plain, told)
    if plain and plain[0].get("role") == "system":
        first = plain[0]
        return [{**first, "content": f"{first['content']}\n\n{told}"}, *plain[1:]]
    return [{"role": "system", "content": told}, *plain]


def _before_first_user(messages: list[dict[str, Any]], told: str) -> list[dict[str, Any]]:
    for number, message in enumerate(messages):
        content = message["content"]
        if message.get("role") == "user":
            if isinstance(content, str):
                content = f"{told}\n\n{content}"
            else:
                content = [{"type": "text", "text": told}, *content]
            return [*messages[:number], {**message, "content": content}, *messages[number + 1 :]]
    return [{"role": "user", "content": told}, *messages]


def _with_calls(message: Mapping[str, Any]) -> dict[str, Any]:
    blocks = [message["content"]] if message.get("content") else []
    for call in message["tool_calls"]:
        function = call["function"]
        arguments = function["arguments"]
        if not isinstance(arguments, str):
            arguments = json.dumps(arguments, ensure_ascii=False)
        name = json.dumps(function["name"])
        blocks.append(f'<tool_call>\n{{"name": {name}, "arguments": {arguments}}}\n</tool_call>')
    rest = {key: value for key, value in message.items() if key != "tool_calls"}
    return {**rest, "content": "\n".join(blocks)}
