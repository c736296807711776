"""The arguments of one tool as a grammar, in the notation of each family of formats."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal

from tricorn.engines import json_style
from tricorn.errors import InvalidRequest

_COMPOSED = (
    "additionalProperties",
    "patternProperties",
    "unevaluatedProperties",
    "$ref",
    "allOf",
    "anyOf",
    "oneOf",
    "if",
    "not",
)
"""Keywords that say what else there may be."""
_TEXT_LIMITS = ("pattern", "format", "minLength", "maxLength", "const")


def schema_of(function: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of a tool's arguments. One that lists them without a word about others means no
    others: no function takes what its author did not name."""
    schema = function.get("parameters") or {"type": "object", "properties": {}}
    schema = {key: value for key, value in schema.items() if key != "$schema"}
    schema.setdefault("type", "object")
    if not any(key in schema for key in _COMPOSED) and "properties" in schema:
        schema["additionalProperties"] = False
    return schema


def rules(
    function: Mapping[str, Any],
    prefix: str,
    notation: Literal["json", "qwen", "glm", "python"],
    *,
    param: str,
) -> list[str]:
    """Lark rules; the one named `prefix` is the arguments. InvalidRequest naming `param` where the
    notation cannot hold the tool to its schema."""
    schema, strict = schema_of(function), bool(function.get("strict"))
    if notation == "json":
        return [f"{prefix}: {json_value(schema, strict=strict)}"]
    properties = schema.get("properties") or {}
    if strict and any(key in schema for key in _COMPOSED if key != "additionalProperties"):
        raise _refusal(function, param, "its parameters are not a plain list of properties")
    required = set(schema.get("required") or ())
    shared = {key: schema[key] for key in ("$defs", "definitions") if key in schema}
    lines: list[str] = []
    names: list[tuple[str, bool]] = []
    for number, (key, value) in enumerate(properties.items()):
        rule = f"{prefix}_{number}"
        own = value | shared if isinstance(value, dict) else {}
        names.append((rule, key in required))
        if notation == "python":
            lines.append(f"{rule}: {_quoted(key + '=')} {json_value(own, strict=strict)}")
            continue
        before, after = _around(notation, key)
        lines += _tagged(function, rule, own, before, after, strict=strict, param=param)
    if notation == "python":
        return lines + _separated(prefix, names)
    body = " ".join(name if needed else f"{name}?" for name, needed in names)
    return [*lines, f"{prefix}: {body or _quoted('')}"]


def json_value(schema: Mapping[str, Any], *, strict: bool) -> str:
    options = {**json_style.OPTIONS, "lenient": not strict}
    return "%json " + json.dumps({**schema, "x-guidance": options}, ensure_ascii=False)


def _around(notation: str, key: str) -> tuple[str, str]:
    if notation == "qwen":
        return f"<parameter={key}>\n", "\n</parameter>\n"
    return f"<arg_key>{key}</arg_key>\n<arg_value>", "</arg_value>\n"


def _tagged(
    function: Mapping[str, Any],
    rule: str,
    schema: Mapping[str, Any],
    before: str,
    after: str,
    *,
    strict: bool,
    param: str,
) -> list[str]:
    choices = schema.get("enum")
    if isinstance(choices, list) and choices and all(isinstance(one, str) for one in choices):
        either = " | ".join(map(_quoted, choices))
        return [f"{rule}: {_quoted(before)} ({either}) {_quoted(after)}"]
    if schema.get("type") != "string":
        return [f"{rule}: {_quoted(before)} {json_value(schema, strict=strict)} {_quoted(after)}"]
    limit = next((key for key in _TEXT_LIMITS if key in schema), None)
    if strict and limit is not None:
        raise _refusal(function, param, f"'{limit}' of a text cannot be enforced for this model")
    # Text ends where its tag ends it, and has no other end inside.
    return [
        f"{rule}: {_quoted(before)} {rule}_text",
        f"{rule}_text[lazy]: /(?s:.*)/ {_quoted(after)}",
    ]


def _separated(prefix: str, names: list[tuple[str, bool]]) -> list[str]:
    """Rules for all of `names` in their order, with commas between those that are there."""
    lines = [f'{prefix}_end: ""']
    after = [f"{prefix}_end", f"{prefix}_end"]
    """The rest behind nothing, and behind something."""
    for number, (name, needed) in reversed(list(enumerate(names))):
        now = []
        for comma, rest in zip(("", '", " '), after, strict=True):
            rule = f"{prefix}_from_{number}{'_more' if comma else ''}"
            skip = "" if needed else f" | {rest}"
            lines.append(f"{rule}: {comma}{name} {after[1]}{skip}")
            now.append(rule)
        after = now
    return [*lines, f"{prefix}: {after[0]}"]


def _quoted(text: str) -> str:
    # Lark writes a string as JSON does.
    return json.dumps(text, ensure_ascii=False)


def _refusal(function: Mapping[str, Any], param: str, reason: str) -> InvalidRequest:
    return InvalidRequest(
        f"Invalid value for '{param}': '{function['name']}' is strict, but {reason}.", param=param
    )
