"""The arguments of one tool as a grammar, in the notation of each family of formats."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Protocol

from tricorn.chat.tools.format import Notation
from tricorn.chat.tools.gemma import FunctionGemmaParser, Gemma4Parser
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
_GEMMA_QUOTES = {"gemma4": Gemma4Parser.QUOTE, "functiongemma": FunctionGemmaParser.QUOTE}
_COMMAS = {"python": ", ", "gemma4": ",", "functiongemma": ","}
"""What stands between arguments, in notations that have something there."""
_TEXT_LIMITS = ("pattern", "format", "minLength", "maxLength", "const")


class Markup(Protocol):
    """How a grammar writes what may be text or tokens."""

    def literal(self, text: str) -> str:
        """Items for `text`."""

    def up_to(self, name: str, marker: str) -> str:
        """The name of a rule for any text, `marker` at its end, and none before it."""


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
    function: Mapping[str, Any], prefix: str, notation: Notation, markup: Markup, *, param: str
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
        if notation != "python" and _is_text(own):
            limit = next((name for name in _TEXT_LIMITS if name in own), None)
            if strict and limit is not None and "enum" not in own:
                reason = f"'{limit}' of a text cannot be enforced for this model"
                raise _refusal(function, param, reason)
            before, after = _around(notation, key, text=True)
            lines.append(f"{rule}: {markup.literal(before)} {_text(rule, own, after, markup)}")
        else:
            before, after = _around(notation, key, text=False)
            value_rule = f"{json_value(own, strict=strict)} {markup.literal(after)}"
            lines.append(f"{rule}: {markup.literal(before)} {value_rule}")
    if notation in _COMMAS:
        return lines + _separated(prefix, names, _COMMAS[notation])
    body = " ".join(name if needed else f"{name}?" for name, needed in names)
    return [*lines, f"{prefix}: {body or _quoted('')}"]


def json_value(schema: Mapping[str, Any], *, strict: bool) -> str:
    options = {**json_style.OPTIONS, "lenient": not strict}
    return "%json " + json.dumps({**schema, "x-guidance": options}, ensure_ascii=False)


def _around(notation: Notation, key: str, *, text: bool) -> tuple[str, str]:
    """What stands before and behind an argument's value."""
    match notation:
        case "qwen":
            return f"<parameter={key}>\n", "\n</parameter>\n"
        case "seed":
            return f"<parameter={key}>", "</parameter>\n"
        case "glm":
            return f"<arg_key>{key}</arg_key>\n<arg_value>", "</arg_value>\n"
        case "minimax":
            return f'<parameter name="{key}">', "</parameter>\n"
        case "dsml":
            head = f'<｜DSML｜parameter name="{key}" string="{"true" if text else "false"}">'
            return head, "</｜DSML｜parameter>\n"
        case "gemma4" | "functiongemma":
            quote = _GEMMA_QUOTES[notation] if text else ""
            return f"{key}:{quote}", quote
    return f"{key}=", ""


def _is_text(schema: Mapping[str, Any]) -> bool:
    """Its values are written as they are, and not as JSON."""
    choices = schema.get("enum")
    if isinstance(choices, list) and choices:
        return all(isinstance(one, str) for one in choices)
    return schema.get("type") == "string"


def _text(rule: str, schema: Mapping[str, Any], after: str, markup: Markup) -> str:
    """Items for a text and what stands behind it."""
    if choices := schema.get("enum"):
        return f"({' | '.join(map(_quoted, choices))}) {markup.literal(after)}"
    # Text ends where its tag ends it, and has no other end inside.
    return markup.up_to(f"{rule}_text", after)


def _separated(prefix: str, names: list[tuple[str, bool]], separator: str) -> list[str]:
    """Rules for all of `names` in their order, with commas between those that are there."""
    lines = [f'{prefix}_end: ""']
    after = [f"{prefix}_end", f"{prefix}_end"]
    """The rest behind nothing, and behind something."""
    for number, (name, needed) in reversed(list(enumerate(names))):
        now = []
        for comma, rest in zip(("", _quoted(separator) + " "), after, strict=True):
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
