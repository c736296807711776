"""Random JSON schemas of the keywords that can be enforced, and whether a value follows one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st

Schema = dict[str, Any]

KEYS = ["city", "from", "days_2", "naïve"]
PATTERNS = ["^[a-c]{2,4}$", "^x?y+$", r"^\d{3}-\d{2}$"]
DEFINED = {
    "colour": {"enum": ["red", "green", 3]},
    "pair": {
        "type": "object",
        "properties": {"left": {"type": "boolean"}, "right": {"$ref": "#/$defs/colour"}},
        "required": ["left"],
        "additionalProperties": False,
    },
}
"""What references in the schemas lead to."""


def scalars() -> st.SearchStrategy[Schema]:
    small = st.integers(-50, 50)
    return st.one_of(
        st.just({"type": "null"}),
        st.just({"type": "boolean"}),
        st.just({"type": "string"}),
        st.just({"type": ["integer", "null"]}),
        st.just({"$ref": "#/$defs/colour"}),
        st.sampled_from(PATTERNS).map(lambda pattern: {"type": "string", "pattern": pattern}),
        small.map(lambda value: {"const": value}),
        st.lists(st.sampled_from(["a b", "ü", '"', "\\", "<b>"]), min_size=1, unique=True).map(
            lambda values: {"type": "string", "enum": values}
        ),
        st.lists(st.sampled_from([1, "1", None, False, [1, {}]]), min_size=1).map(
            lambda values: {"enum": values}
        ),
        st.tuples(st.integers(0, 4), st.integers(0, 8)).map(
            lambda ends: {"type": "string", "minLength": ends[0], "maxLength": sum(ends)}
        ),
        st.tuples(st.sampled_from(["integer", "number"]), small, st.integers(0, 90)).map(
            lambda of: {"type": of[0], "minimum": of[1], "maximum": of[1] + of[2]}
        ),
        st.tuples(small, st.integers(2, 90)).map(
            lambda of: {
                "type": "integer",
                "exclusiveMinimum": of[0],
                "exclusiveMaximum": of[0] + of[1],
            }
        ),
        st.integers(2, 12).map(
            lambda step: {"type": "integer", "multipleOf": step, "minimum": 0, "maximum": 100}
        ),
    )


def objects(values: st.SearchStrategy[Schema]) -> st.SearchStrategy[Schema]:
    """Lists of properties, some of them required, and no others."""
    return st.dictionaries(st.sampled_from(KEYS), values, min_size=1).flatmap(
        lambda properties: st.sets(st.sampled_from(sorted(properties))).map(
            lambda needed: {
                "type": "object",
                "properties": properties,
                "required": sorted(needed),
                "additionalProperties": False,
            }
        )
    )


def _arrays(values: st.SearchStrategy[Schema]) -> st.SearchStrategy[Schema]:
    return st.tuples(values, st.integers(0, 2), st.integers(0, 2)).map(
        lambda of: {
            "type": "array",
            "items": of[0],
            "minItems": of[1],
            "maxItems": of[1] + of[2],
        }
    )


def schemas() -> st.SearchStrategy[Schema]:
    """Nested; their references want `DEFINED` at the root."""
    return st.recursive(
        scalars() | st.just({"$ref": "#/$defs/pair"}),
        lambda inner: st.one_of(
            objects(inner),
            _arrays(inner),
            st.lists(inner, min_size=1, max_size=3).map(lambda each: {"anyOf": each}),
            st.lists(inner, min_size=1, max_size=2).map(
                lambda each: {"type": "array", "prefixItems": each, "items": False}
            ),
            inner.map(lambda value: {"type": "object", "additionalProperties": value}),
        ),
        max_leaves=6,
    )


def follows(value: Any, schema: Any) -> bool:
    """Whether `value` is valid under a schema of the kinds above."""
    if isinstance(schema, bool):
        return schema
    if "$ref" in schema:
        return follows(value, DEFINED[schema["$ref"].rpartition("/")[2]])
    if "anyOf" in schema and not any(follows(value, one) for one in schema["anyOf"]):
        return False
    if "const" in schema and not _same(value, schema["const"]):
        return False
    if "enum" in schema and not any(_same(value, one) for one in schema["enum"]):
        return False
    kinds = schema.get("type")
    if kinds is not None and not any(
        _is(value, kind) for kind in ([kinds] if isinstance(kinds, str) else kinds)
    ):
        return False
    match value:
        case bool() | None:
            return True
        case int() | float():
            return _number(value, schema)
        case str():
            found = "pattern" not in schema or re.search(schema["pattern"], value)
            return bool(found) and _within(len(value), schema, "minLength", "maxLength")
        case list():
            return _array(value, schema)
    return _object(value, schema)


def _same(value: Any, other: Any) -> bool:
    """As JSON has it, where true is not 1."""
    return bool(value == other) and isinstance(value, bool) == isinstance(other, bool)


def _is(value: Any, kind: str) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    return {
        "null": value is None,
        "integer": isinstance(value, int) or (isinstance(value, float) and value.is_integer()),
        "number": isinstance(value, int | float),
        "string": isinstance(value, str),
        "array": isinstance(value, list),
        "object": isinstance(value, dict),
    }.get(kind, False)


def _within(size: float, schema: Mapping[str, Any], least: str, most: str) -> bool:
    return bool(schema.get(least, size) <= size <= schema.get(most, size))


def _number(value: float, schema: Mapping[str, Any]) -> bool:
    return (
        _within(value, schema, "minimum", "maximum")
        and schema.get("exclusiveMinimum", value - 1) < value
        and value < schema.get("exclusiveMaximum", value + 1)
        and value % schema.get("multipleOf", 1 if isinstance(value, int) else value or 1) == 0
    )


def _array(value: list[Any], schema: Mapping[str, Any]) -> bool:
    first = schema.get("prefixItems", [])
    rest = schema.get("items", True)
    return (
        _within(len(value), schema, "minItems", "maxItems")
        and all(follows(item, one) for item, one in zip(value, first, strict=False))
        and all(follows(item, rest) for item in value[len(first) :])
    )


def _object(value: dict[str, Any], schema: Mapping[str, Any]) -> bool:
    known = schema.get("properties", {})
    others = schema.get("additionalProperties", True)
    return set(schema.get("required", ())) <= set(value) and all(
        follows(item, known.get(key, others)) for key, item in value.items()
    )
