"""The chat templates of a Hugging Face (or MLX) folder: one, or several with names."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tricorn.errors import ModelLoadFailed

DEFAULT, TOOL_USE = "default", "tool_use"
"""Names that transformers gives a meaning; others are chosen by nobody."""


MAX_BYTES = 32 * 2**20
"""Of a file; a tokenizer's configuration has a few megabytes at most."""


class Templates(NamedTuple):
    default: str | None = None
    for_tools: str | None = None
    """Of chats with tools, where they have their own."""


def read_object(path: Path) -> dict[str, Any]:
    """A JSON file; empty where there is none, or it is broken: that is for the engine to tell."""
    try:
        if path.stat().st_size > MAX_BYTES:
            return {}
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _text(path: Path) -> str:
    if path.stat().st_size > MAX_BYTES:
        raise ModelLoadFailed(f"{path.name} is longer than any chat template")
    return path.read_text(encoding="utf-8")


def in_folder(folder: Path, read: Callable[[Path], Mapping[str, Any]] = read_object) -> Templates:
    """ModelLoadFailed for what is no template by its length.

    read: gives a JSON file's object, empty where there is no such file.
    """
    tools = folder / "additional_chat_templates" / f"{TOOL_USE}.jinja"
    beside = folder / "chat_template.jinja"
    if beside.is_file():
        return Templates(_text(beside), _text(tools) if tools.is_file() else None)
    given = read(folder / "tokenizer_config.json").get("chat_template")
    if given is None:
        given = read(folder / "chat_template.json").get("chat_template")
    return named(given)


def named(given: Any) -> Templates:
    """given: one template, or several: a list of objects, or a mapping by name."""
    if isinstance(given, list):
        given = {one.get("name"): one.get("template") for one in given if isinstance(one, dict)}
    if isinstance(given, Mapping):
        found = (given.get(DEFAULT), given.get(TOOL_USE))
        return Templates(*(text if isinstance(text, str) else None for text in found))
    return Templates(given if isinstance(given, str) else None)
