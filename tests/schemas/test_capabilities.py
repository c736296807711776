"""The capability table: derived, and the same in the documentation.

With WRITE_CAPABILITIES=1 in the environment the table goes into docs/capabilities.md.
"""

from __future__ import annotations

import os
from typing import Annotated, ClassVar

import pytest
from tests.schemas import capability_document
from tests.schemas.capability_document import ABLE, UNABLE

from tricorn.engines.spec import Dialect, EngineCapabilities
from tricorn.schemas.capabilities import parameters, table
from tricorn.schemas.cells import Cell, ForTemplate, ModelFacts, Needs, Within, Without
from tricorn.schemas.endpoints import ENDPOINTS, Endpoint
from tricorn.schemas.parameters import Hint, Inert
from tricorn.schemas.request import RequestModel


class Request(RequestModel):
    rules: ClassVar = {"h": Hint((str,), "a string"), "i": Inert((False,))}
    aliases: ClassVar = {"other": "held"}

    plain: int = 1
    held: Annotated[str, Needs("constraints", ("",)), Within({"part": Without("no")})] = ""
    variable: Annotated[str, ForTemplate("v")] = ""


HELD = Cell("refused", "its engine cannot hold an answer to a form", ("",))
PART = {"part": Cell("refused", "no")}


def test_any_request_model_has_a_table() -> None:
    """Fields, their marks, aliases and rules; nothing is written down twice."""
    cells = parameters(Request, UNABLE)

    assert list(cells) == ["plain", "held", "variable", "other", "h", "i"]
    assert cells["plain"] == Cell("enforced")
    assert cells["held"] == Cell(HELD.status, HELD.reason, HELD.accepts, within=PART)
    assert cells["other"].same_as == "held"
    assert cells["variable"].status == cells["h"].status == "hint"
    assert cells["i"] == Cell("refused", "not supported by this version of Tricorn", (False,))
    able = parameters(Request, ModelFacts(ABLE.capabilities, Dialect(variables=("v",))))
    assert able["held"] == Cell("enforced", within=PART)
    assert able["variable"] == Cell("enforced", "its chat template reads v")
    unknown = parameters(Request, None)
    assert unknown["plain"].status == "enforced"
    assert unknown["held"].status == unknown["variable"].status == "unknown until loaded"


@pytest.mark.parametrize(
    ("facts", "served"),
    [
        (ModelFacts(EngineCapabilities()), {"chat", "completions"}),
        (ModelFacts(EngineCapabilities(), Dialect(chat=False)), {"completions"}),
        (ModelFacts(EngineCapabilities(generate=False, embed=True)), {"embeddings", "rank"}),
        (ModelFacts(EngineCapabilities(generate=False, score=True)), {"rank"}),
        (ModelFacts(EngineCapabilities(embed=True), is_adapter=True), {"chat", "completions"}),
    ],
)
def test_endpoints_that_a_model_answers(facts: ModelFacts, served: set[str]) -> None:
    """By its abilities, and whether it has a chat template; with the reason where it does not."""
    rows = table(facts)
    named = {
        "/v1/chat/completions": "chat",
        "/v1/completions": "completions",
        "/v1/embeddings": "embeddings",
        "/v1/rerank": "rank",
    }
    assert {named[path] for path in named if rows[path].status == "enforced"} == served
    assert all(row.reason for row in rows.values() if row.status == "refused")


def test_endpoints_are_registered_once() -> None:
    """No path stands for two of them."""
    paths = [path for one in ENDPOINTS for path in (one.path, *one.also)]
    assert len(paths) == len(set(paths))
    assert all(isinstance(one, Endpoint) for one in ENDPOINTS)


def test_the_document_is_current() -> None:
    """docs/capabilities.md has the table of this version."""
    if os.environ.get("WRITE_CAPABILITIES"):
        capability_document.write()
    assert capability_document.current() == capability_document.text()
