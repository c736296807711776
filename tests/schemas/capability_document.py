"""The capability table for docs/capabilities.md: what becomes of each parameter, on a model that
can all there is and on one that can nothing of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec

from tricorn.engines.spec import Dialect, EngineCapabilities
from tricorn.schemas.capabilities import parameters
from tricorn.schemas.cells import Cell, ModelFacts
from tricorn.schemas.endpoints import ENDPOINTS
from tricorn.schemas.request import RequestModel

DOCUMENT = Path(__file__).parents[2] / "docs" / "capabilities.md"
BEGIN, END = "<!-- table: begin -->", "<!-- table: end -->"

VARIABLES = ("enable_thinking", "reasoning_effort", "thinking", "verbosity")
ABLE = ModelFacts(
    EngineCapabilities(**dict.fromkeys(EngineCapabilities.__struct_fields__, True)),
    Dialect("hermes", True, "think", variables=VARIABLES),
    shorter_dimensions=(),
)
UNABLE = ModelFacts(
    EngineCapabilities(**dict.fromkeys(EngineCapabilities.__struct_fields__, False))
)


def text() -> str:
    parts = []
    for endpoint in ENDPOINTS:
        able, unable = (_cells(endpoint.request, facts) for facts in (ABLE, UNABLE))
        same = {name: cell for name, cell in able.items() if cell == unable[name]}
        parts.append("### " + ", ".join(f"`{path}`" for path in (endpoint.path, *endpoint.also)))
        parts += [
            f"{title}: {', '.join(listed)}."
            for status, title in _EVERYWHERE.items()
            if (listed := [_listed(n, cell) for n, cell in same.items() if cell.status == status])
        ]
        if rows := [_row(n, c, unable[n]) for n, c in able.items() if n not in same]:
            head = ["| parameter | where the model can | elsewhere |", "|---|---|---|"]
            parts.append("\n".join(head + rows))
    return "\n\n".join(parts)


_EVERYWHERE = {
    "enforced": "Enforced with every model",
    "hint": "Hints",
    "refused": "Refused",
}


def _cells(request: type[RequestModel], facts: ModelFacts) -> dict[str, Cell]:
    """By name, those within another one too: `tools: [].custom`."""
    cells: dict[str, Cell] = {}
    for name, cell in parameters(request, facts).items():
        cells[name] = _plain(cell)
        cells |= {f"{name}: {part}": inner for part, inner in cell.within.items()}
    return cells


def _listed(name: str, cell: Cell) -> str:
    same = f" (as `{cell.same_as}`)" if cell.same_as else ""
    return f"`{name}`{same}{_taken(cell)}"


def _row(name: str, able: Cell, unable: Cell) -> str:
    same = f", as `{able.same_as}`" if able.same_as else ""
    return f"| `{name}` | {able.status}{same} | {unable.status}: {unable.reason}{_taken(unable)} |"


def _plain(cell: Cell) -> Cell:
    return msgspec.structs.replace(cell, within={})


def _taken(cell: Cell) -> str:
    return f" (taken: {' or '.join(map(_code, cell.accepts))})" if cell.accepts else ""


def _code(value: Any) -> str:
    return f"`{json.dumps(value)}`"


def current() -> str:
    """What the document has between its marks."""
    _, _, rest = DOCUMENT.read_text(encoding="utf-8").partition(BEGIN)
    return rest.partition(END)[0].strip()


def write() -> None:
    document = DOCUMENT.read_text(encoding="utf-8")
    before, _, rest = document.partition(BEGIN)
    _, _, after = rest.partition(END)
    DOCUMENT.write_text(f"{before}{BEGIN}\n\n{text()}\n\n{END}{after}", encoding="utf-8")
