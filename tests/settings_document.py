"""The tables of docs/configuration.md: every setting with its type, its default and its meaning, as
the docstrings in `tricorn.settings.config` and `tricorn.settings.model_settings` have it."""

from __future__ import annotations

import ast
import inspect
import math
import re
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from tricorn.settings.config import Settings
from tricorn.settings.file import SECTIONS
from tricorn.settings.model_settings import ModelDefaults, ModelSettings

DOCUMENT = Path(__file__).parents[1] / "docs" / "configuration.md"
BEGIN, END = "<!-- tables: begin -->", "<!-- tables: end -->"

TYPES = {
    "str": "text",
    "SecretStr": "text, secret",
    "int": "number",
    "float": "number",
    "bool": "true or false",
    "Path": "path",
    "CommaList": "list",
    "Networks": "list",
    "ApiKeys": "list, secret",
    "SigningSecret": "text, secret",
    "Duration": "duration",
    "MemoryAmount": "size or share",
    "Numbers": "numbers",
    "HubId": "hub id",
    "list[ModelName]": "list of names",
    "ModelDefaults": "mapping",
}


def text() -> str:
    """The tables, in the sections' order."""
    facts = _declared(Settings)
    parts = []
    for section, names in SECTIONS.items():
        rows = [_row(name.upper(), facts[name], Settings, name) for name in names]
        parts.append(f"### `{section}:`\n\n" + _table(rows))
    for model, title, intro in (
        (ModelDefaults, "`models: NAME:` and `models: defaults:`", ""),
        (ModelSettings, "`models: NAME:` alone", ""),
    ):
        declared = _declared(model)
        rows = [_row(name, fact, model, name) for name, fact in declared.items()]
        parts.append(f"### {title}\n\n{intro}" + _table(rows))
    return "\n\n".join(parts)


def current() -> str:
    """What the document has now."""
    found = re.search(f"{BEGIN}\n\n(.*?)\n\n{END}", DOCUMENT.read_text("utf-8"), re.S)
    assert found is not None
    return found[1]


def write() -> None:
    """Put the tables into the document."""
    whole = DOCUMENT.read_text("utf-8")
    before, rest = whole.split(BEGIN)
    _, after = rest.split(END)
    DOCUMENT.write_text(f"{before}{BEGIN}\n\n{text()}\n\n{END}{after}", "utf-8")


def _declared(model: type[BaseModel]) -> dict[str, tuple[str, str]]:
    """Name → (its annotation, its docstring), as the class itself has them, in order."""
    (tree,) = ast.parse(inspect.getsource(model)).body
    assert isinstance(tree, ast.ClassDef)
    found: dict[str, tuple[str, str]] = {}
    last = None
    for node in tree.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            last = node.target.id
            found[last] = (ast.unparse(node.annotation), "")
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and last:
            found[last] = (found[last][0], " ".join(str(node.value.value).split()))
            last = None
        else:
            last = None
    return found


def _row(
    shown: str, fact: tuple[str, str], model: type[BaseModel], name: str
) -> tuple[str, str, str, str]:
    annotation, meaning = fact
    assert meaning, f"{name} has no docstring"
    default = model.model_fields[name].get_default(call_default_factory=True)
    return f"`{shown}`", _type(annotation), _value(default), meaning


def _table(rows: list[tuple[str, str, str, str]]) -> str:
    head = ["| name | type | default | meaning |", "| --- | --- | --- | --- |"]
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join(head + lines)


def _type(annotation: str) -> str:
    plain = annotation.removesuffix(" | None")
    if plain.startswith("Literal["):
        return ", ".join(str(value) for value in ast.literal_eval(f"({plain[8:-1]},)"))
    return "mapping" if plain.startswith("dict[") else TYPES[plain]


def _value(default: Any) -> str:
    if default is None:
        return ""
    if isinstance(default, bool):
        return "true" if default else "false"
    if isinstance(default, float):
        return "never" if math.isinf(default) else f"{default:g}"
    if isinstance(default, list):
        return ", ".join(f"`{one}`" for one in default)
    if isinstance(default, dict | BaseModel):
        return ""
    return str(default)
