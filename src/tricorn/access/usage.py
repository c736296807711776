"""What was used, as it is told: by `GET /admin/usage` and by `tricorn usage`. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

MAX_DAYS = 3660
COUNTS = ("requests", "prompt_tokens", "completion_tokens")


class Row(Protocol):
    @property
    def day(self) -> str: ...
    @property
    def key(self) -> str: ...
    @property
    def model(self) -> str: ...
    @property
    def requests(self) -> int: ...
    @property
    def prompt_tokens(self) -> int: ...
    @property
    def completion_tokens(self) -> int: ...


def report(rows: Iterable[Row], names: Mapping[str, str], since: str, until: str) -> dict[str, Any]:
    """names: by key id. Of requests without a key `key` is null."""
    data = [
        {
            "day": row.day,
            "key": row.key or None,
            "key_name": names.get(row.key),
            "model": row.model,
            **{name: getattr(row, name) for name in COUNTS},
            "total_tokens": row.prompt_tokens + row.completion_tokens,
        }
        for row in rows
    ]
    total = {name: sum(int(one[name] or 0) for one in data) for name in (*COUNTS, "total_tokens")}
    return {"object": "usage", "since": since, "until": until, "total": total, "data": data}
