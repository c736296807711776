"""From pydantic's models to JSON schemas that say what a client may send."""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Collection, Mapping
from functools import cache
from itertools import pairwise
from typing import Any, cast

import orjson
from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, models_json_schema
from pydantic_core import core_schema

from tricorn.schemas.cells import NoEffect, Without
from tricorn.schemas.objects import OpenObject
from tricorn.schemas.parameters import Hint, Rule
from tricorn.schemas.request import RequestModel

PREFIX = "#/components/schemas/"
_FAMILIES = {"anthropic": "Anthropic", "responses": "Responses", "ollama": "Ollama"}
_TYPES: Mapping[type, str] = {
    str: "string",
    bool: "boolean",
    int: "integer",
    dict: "object",
}
_NULL = {"type": "null"}

Schema = dict[str, Any]


def components(
    models: Collection[type[BaseModel]],
) -> tuple[dict[str, Schema], dict[type[BaseModel], str]]:
    """All schemas by name, and each model's name among them."""
    ordered = sorted(models, key=lambda model: (model.__module__, model.__name__))
    found, whole = models_json_schema(
        [(model, "validation") for model in ordered],
        ref_template=PREFIX + "{model}",
        schema_generator=_Generator,
    )
    schemas: dict[str, Schema] = whole["$defs"]
    names = {name: _short(name) for name in schemas}
    renamed = {names[name]: _renamed(schema, names) for name, schema in schemas.items()}
    assert len(renamed) == len(schemas), "two schemas have one name"
    for name, schema in renamed.items():
        schema["title"] = name  # by which some generators of clients go
    refs = {
        cast(type[BaseModel], model): names[reference["$ref"].removeprefix(PREFIX)]
        for (model, _), reference in found.items()
    }
    return _used(renamed, refs.values()), refs


class _Generator(GenerateJsonSchema):
    """Adds what the models do not say in types: docstrings of fields, nulls that mean absence,
    other names of a field, and parameters that are accepted without being fields."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def model_schema(self, schema: core_schema.ModelSchema) -> Schema:
        described = super().model_schema(schema)
        model = schema["cls"]
        properties: dict[str, Schema] = described.get("properties", {})
        for base in reversed(model.__mro__):
            for name, text in _docstrings(base).items():
                if name in model.model_fields:
                    alias = model.model_fields[name].alias or name
                    if alias in properties:
                        properties[alias] = _with(properties[alias], text)
        if issubclass(model, RequestModel):
            _settle(model, described, properties)
        if issubclass(model, RequestModel | OpenObject):
            for name in properties.keys() - set(described.get("required", ())):
                properties[name] = _or_null(properties[name])
                if isinstance(properties[name].get("default"), dict | list):
                    del properties[name]["default"]  # it only says that nothing is there
        if properties:
            described["properties"] = properties
        return described


def _settle(model: type[RequestModel], described: Schema, properties: dict[str, Schema]) -> None:
    """As `RequestModel.parse` treats fields."""
    required = described.get("required", [])
    for name, info in model.model_fields.items():
        mark = next((one for one in info.metadata if isinstance(one, Without | NoEffect)), None)
        if isinstance(mark, Without) and not mark.accepts:
            del properties[name]
        elif isinstance(mark, NoEffect):
            properties[name] = _with(properties[name], f"{mark.reason.capitalize()}.")
    for alias, name in model.aliases.items():
        if name in required:
            properties[name] = _with(properties[name], f"May be called `{alias}` too.")
        else:
            properties[alias] = {**properties[name], "description": f"Another name for `{name}`."}
    for name, rule in model.rules.items():
        if (ruled := _ruled(rule)) is not None:
            properties[name] = ruled


def _ruled(rule: Rule) -> Schema | None:
    """None: it is refused, whatever its value."""
    if isinstance(rule, Hint):
        return {**_of_type(rule.types[0]), "description": "Accepted, without effect."}
    if not rule.values:
        return None
    only = _of_type(type(rule.values[0]))
    if only["type"] in ("object", "array"):  # of which generators of clients know no enums
        return {**only, "description": f"Only {orjson.dumps(rule.values[0]).decode()}."}
    return {**only, "enum": list(rule.values), "description": "Other values are not supported."}


def _of_type(kind: type) -> Schema:
    return {"type": "array", "items": {}} if kind is list else {"type": _TYPES[kind]}


def _with(schema: Schema, text: str) -> Schema:
    known = schema.get("description")
    return {**schema, "description": f"{known} {text}" if known else text}


def _or_null(schema: Schema) -> Schema:
    choices = schema.get("anyOf")
    if schema == {} or schema.get("type") == "null" or (choices and _NULL in choices):
        return schema
    if choices:
        return {**schema, "anyOf": [*choices, _NULL]}
    outside: Schema = {name: schema[name] for name in ("default", "description") if name in schema}
    inside = {name: value for name, value in schema.items() if name not in outside}
    return {"anyOf": [inside, _NULL], **outside}


@cache
def _docstrings(model: type) -> Mapping[str, str]:
    """Of its own fields: what stands in quotes below them, in one paragraph."""
    if model.__module__.split(".")[0] != "tricorn":
        return {}
    found: dict[str, str] = {}
    body = _classes(model.__module__).get(model.__name__, [])
    for field, text in pairwise(body):
        match field, text:
            case (
                ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str(said))),
            ):
                found[name] = " ".join(said.split())
    return found


@cache
def _classes(module: str) -> dict[str, list[ast.stmt]]:
    try:
        tree = ast.parse(inspect.getsource(sys.modules[module]))
    except OSError:  # installed without its source
        return {}
    return {node.name: node.body for node in tree.body if isinstance(node, ast.ClassDef)}


def _short(name: str) -> str:
    """Classes of several families may have one name: the family's stands before it then."""
    *module, own = name.split("__")
    family = next((_FAMILIES[part] for part in module if part in _FAMILIES), "")
    return own if own.startswith(family) else family + own


def _renamed(value: Any, names: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {
            key: PREFIX + names[item.removeprefix(PREFIX)]
            if key == "$ref"
            else _renamed(item, names)
            for key, item in value.items()
        }
    return [_renamed(item, names) for item in value] if isinstance(value, list) else value


def _used(schemas: dict[str, Schema], wanted: Collection[str]) -> dict[str, Schema]:
    """Without those that nothing leads to any more."""
    found: set[str] = set()
    row = [*wanted]
    while row:
        name = row.pop()
        if name not in found:
            found.add(name)
            row += _references(schemas[name])
    return {name: schemas[name] for name in sorted(found)}


def _references(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["$ref"].removeprefix(PREFIX)] if isinstance(value.get("$ref"), str) else []
        return own + [name for item in value.values() for name in _references(item)]
    return [name for item in value for name in _references(item)] if isinstance(value, list) else []
