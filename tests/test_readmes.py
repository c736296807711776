"""README.zh-CN.md says what README.md says: what can be compared without reading either."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[1]


def part(name: str, pattern: str) -> list[str]:
    found: list[str] = re.findall(pattern, (PROJECT / name).read_text(encoding="utf-8"), re.M)
    return found


@pytest.mark.parametrize(
    ("what", "pattern"),
    [
        ("commands", r"^    .*$"),
        ("code", r"^```python\n[\s\S]*?^```"),
        ("settings", r"`([A-Z][A-Z_]{3,})(?:=\w+)?`"),
        ("routes", r"`(?:(?:GET|POST|DELETE) )?(/[a-z][^ `]*)`"),
        ("links", r"\]\(((?:docs/|[A-Z.])[^)]*)\)"),
    ],
)
def test_the_same_in_both(what: str, pattern: str) -> None:
    english, chinese = part("README.md", pattern), part("README.zh-CN.md", pattern)
    assert english, what
    other = {"README.md", "README.zh-CN.md"}  # each names the other one
    assert sorted(set(english) - other) == sorted(set(chinese) - other)


def test_the_same_structure() -> None:
    for pattern in (r"^## ", r"^\| ", r"^\* ", r"^\d\. "):
        assert len(part("README.md", pattern)) == len(part("README.zh-CN.md", pattern)), pattern
