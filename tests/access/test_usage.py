"""Tests of `tricorn.access.usage`."""

from __future__ import annotations

from tricorn.access.usage import report
from tricorn.storage.keys import UsageRow


def test_report() -> None:
    """With names and sums; what had no key says so."""
    rows = [UsageRow("2026-01-01", "k", "m", 2, 10, 5), UsageRow("2026-01-02", "", "m", 1, 1, 1)]
    found = report(rows, {"k": "ann"}, "2026-01-01", "2026-01-31")
    assert found["total"] == {
        "requests": 3, "prompt_tokens": 11, "completion_tokens": 6, "total_tokens": 17
    }  # fmt: skip
    assert [one["key_name"] for one in found["data"]] == ["ann", None]
    assert found["data"][1]["key"] is None
    assert found["data"][0]["total_tokens"] == 15
    assert (found["since"], found["until"]) == ("2026-01-01", "2026-01-31")
