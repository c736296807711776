"""What each engine does, as a table for docs/engines.md."""

from __future__ import annotations

from pathlib import Path

Outcomes = dict[str, dict[str, str]]
"""Behaviour → engine → passed, failed or skipped."""

DOCUMENT = Path(__file__).parents[2] / "docs" / "engines.md"
BEGIN, END = "<!-- matrix: begin -->", "<!-- matrix: end -->"
SIGNS = {"passed": "✓", "failed": "✗", "skipped": "–"}


def table(outcomes: Outcomes, engines: list[str]) -> str:
    lines = [f"| behaviour | {' | '.join(engines)} |", f"|---|{'---|' * len(engines)}"]
    for behaviour, row in outcomes.items():
        signs = (SIGNS.get(row.get(engine, ""), " ") for engine in engines)
        lines.append(f"| {behaviour} | {' | '.join(signs)} |")
    return "\n".join(lines)


def write(text: str) -> None:
    """Put the table between the document's marks."""
    document = DOCUMENT.read_text(encoding="utf-8")
    before, _, rest = document.partition(BEGIN)
    _, _, after = rest.partition(END)
    DOCUMENT.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}", encoding="utf-8")
