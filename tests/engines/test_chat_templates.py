"""Where a folder may have its chat templates."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tricorn.engines import chat_templates
from tricorn.engines.chat_templates import Templates, in_folder, named
from tricorn.errors import ModelLoadFailed

BOTH = [{"name": "tool_use", "template": "T"}, {"name": "default", "template": "D"}]


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, Templates()),
        ({"tokenizer_config.json": {"chat_template": "A"}}, Templates("A")),
        ({"chat_template.json": {"chat_template": "A"}}, Templates("A")),
        ({"tokenizer_config.json": {"chat_template": BOTH}}, Templates("D", "T")),
        ({"tokenizer_config.json": {"chat_template": BOTH[:1]}}, Templates(None, "T")),
        (
            {"tokenizer_config.json": {"chat_template": BOTH}, "chat_template.jinja": "B"},
            Templates("B"),
        ),
        (
            {"chat_template.jinja": "B", "additional_chat_templates/tool_use.jinja": "C"},
            Templates("B", "C"),
        ),
        ({"chat_template.jinja": "B", "additional_chat_templates/rag.jinja": "C"}, Templates("B")),
        ({"tokenizer_config.json": "{"}, Templates()),
        ({"tokenizer_config.json": {"chat_template": 5}}, Templates()),
    ],
)
def test_templates_of_a_folder(tmp_path: Path, files: dict[str, Any], expected: Templates) -> None:
    """One, or one more for chats with tools; as transformers looks for them."""
    for name, content in files.items():
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(content if isinstance(content, str) else json.dumps(content))
    assert in_folder(tmp_path) == expected


def test_templates_by_name() -> None:
    """As a loaded tokenizer has them."""
    assert named({"default": "D", "tool_use": "T", "rag": "R"}) == Templates("D", "T")
    assert named("A") == Templates("A")
    assert named(None) == Templates()


def test_what_is_too_long_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A template fails the load, a description is as if it was not there; nested ones likewise."""
    monkeypatch.setattr(chat_templates, "MAX_BYTES", 100)
    described = tmp_path / "tokenizer_config.json"
    described.write_text(json.dumps({"chat_template": "A" * 200}))
    assert in_folder(tmp_path) == Templates()
    monkeypatch.setattr(chat_templates, "MAX_BYTES", 1 << 20)
    described.write_text("[" * 100_000)
    assert in_folder(tmp_path) == Templates()
    (tmp_path / "chat_template.jinja").write_text("A" * (2 << 20))
    with pytest.raises(ModelLoadFailed, match="longer than any chat template"):
        in_folder(tmp_path)
