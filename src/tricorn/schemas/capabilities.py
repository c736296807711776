"""The capability table of a model: for each endpoint and each parameter, what becomes of it.

    enforced                honoured as it says
    emulated                honoured, by other means than the model's own
    hint                    accepted; nothing of it shows in the answer
    refused                 400 `unsupported_parameter`; `accepts` lists values that are taken
    unknown until loaded    depends on what loading the model tells

Derived from the request models, the marks of their fields (`cells`) and the rules for what they
have no field for (`parameters`). What is not in it is nobody's: named in x-tricorn-ignored.
"""

from __future__ import annotations

import msgspec

from tricorn.schemas.cells import Cell, ModelFacts, cell
from tricorn.schemas.endpoints import ENDPOINTS, Endpoint
from tricorn.schemas.parameters import Hint, Rule
from tricorn.schemas.request import RequestModel


class Row(msgspec.Struct, frozen=True, omit_defaults=True):
    """An endpoint as one model answers it."""

    status: str
    reason: str = ""
    also: tuple[str, ...] = ()
    parameters: dict[str, Cell] = {}


def table(facts: ModelFacts | None) -> dict[str, Row]:
    """By the endpoint's path. facts: None for a model that was never loaded."""
    return {endpoint.path: _row(endpoint, facts) for endpoint in ENDPOINTS}


def _row(endpoint: Endpoint, facts: ModelFacts | None) -> Row:
    whole = endpoint.cell(facts)
    # Of what is refused whatever its parameters are, they would say nothing.
    cells = {} if whole.status == "refused" else parameters(endpoint.request, facts)
    return Row(whole.status, whole.reason, endpoint.also, cells)


def parameters(request: type[RequestModel], facts: ModelFacts | None) -> dict[str, Cell]:
    """Every parameter that `request` knows by name, honoured or not."""
    cells = {name: cell(field.metadata, facts) for name, field in request.model_fields.items()}
    for alias, name in request.aliases.items():
        cells[alias] = msgspec.structs.replace(cells[name], same_as=name)
    return cells | {name: _ruled(rule) for name, rule in request.rules.items()}


def _ruled(rule: Rule) -> Cell:
    if isinstance(rule, Hint):
        return Cell("hint", "accepted, without effect")
    return Cell("refused", "not supported by this version of Tricorn", rule.values)
