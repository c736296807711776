"""How constrained JSON is written, on every engine alike: options of llguidance."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llguidance._lib import JsonCompileOptions

OPTIONS: JsonCompileOptions = {
    "whitespace_flexible": False,
    "item_separator": ", ",
    "key_separator": ": ",
    "lenient": False,
}
"""On one line: a small model that may write white space writes it for ever. Not lenient: what
cannot be enforced is refused."""


def with_options(schema: str) -> str:
    """The JSON schema with `OPTIONS` in it, for compilers that take none beside it."""
    parsed: Any = json.loads(schema)
    if not isinstance(parsed, dict):
        return schema
    return json.dumps(parsed | {"x-guidance": OPTIONS}, ensure_ascii=False)
