"""Calls as each format writes them, for tests that go through all formats there are."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from tricorn.chat.tools.format import ARGUMENTS, NAME, NUMBER
from tricorn.chat.tools.formats import FORMATS

Call = tuple[str, Mapping[str, Any]]
"""A tool's name and the arguments."""

QUOTES = {"gemma4": '<|"|>', "functiongemma": "<escape>"}


def written(name: str, *calls: Call) -> str:
    """The calls in the format `name`; of several the first where a format has one an answer."""
    form = FORMATS[name]
    each = [
        form.call.replace(NAME, tool)
        .replace(NUMBER, str(number))
        .replace(ARGUMENTS, _arguments(form.arguments, arguments))
        for number, (tool, arguments) in enumerate(calls if form.parallel else calls[:1])
    ]
    return form.first + form.between.join(each) + form.last


def head(name: str) -> str:
    """All that stands in front of the first tool's name."""
    form = FORMATS[name]
    before = (form.first + form.call).partition(NAME)[0]
    return before.replace(NUMBER, "0")


def _arguments(notation: str, arguments: Mapping[str, Any]) -> str:
    if notation == "json":
        return json.dumps(arguments)
    if notation == "python":
        return ", ".join(f"{key}={json.dumps(value)}" for key, value in arguments.items())
    if notation in QUOTES:
        quote = QUOTES[notation]
        return ",".join(f"{key}:{_bare(value, quote)}" for key, value in arguments.items())
    return "".join(_tag(notation, key, value) for key, value in arguments.items())


def _tag(notation: str, key: str, value: Any) -> str:
    text = _bare(value)
    return {
        "qwen": f"<parameter={key}>\n{text}\n</parameter>\n",
        "seed": f"<parameter={key}>{text}</parameter>\n",
        "glm": f"<arg_key>{key}</arg_key>\n<arg_value>{text}</arg_value>\n",
        "minimax": f'<parameter name="{key}">{text}</parameter>\n',
        "dsml": f'<｜DSML｜parameter name="{key}" string="{str(isinstance(value, str)).lower()}">'
        f"{text}</｜DSML｜parameter>\n",
    }[notation]


def _bare(value: Any, quote: str = "") -> str:
    return f"{quote}{value}{quote}" if isinstance(value, str) else json.dumps(value)


def calls_of(name: str, *calls: Call) -> list[Call]:
    """What is to be read in `written`."""
    return list(calls if FORMATS[name].parallel else calls[:1])


def shown(calls: Sequence[tuple[str, str]]) -> list[Call]:
    """Calls that were read, with their arguments as objects."""
    return [(name, json.loads(arguments)) for name, arguments in calls]
