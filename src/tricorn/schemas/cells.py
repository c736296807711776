"""The cells of the capability table, and the marks that fields of a request carry for it.

A field without a mark is enforced on every model. A mark stands where the field is declared and
says what of the model it depends on; `capabilities` makes a table of all of them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from tricorn.chat.tools.formats import EMULATED
from tricorn.engines.spec import Dialect, EngineCapabilities

Status = Literal["enforced", "emulated", "hint", "refused", "unknown until loaded"]


class Cell(msgspec.Struct, frozen=True, omit_defaults=True):
    """What becomes of one parameter."""

    status: Status
    reason: str = ""
    accepts: tuple[Any, ...] = ()
    """Where refused: values that are taken nevertheless, for they ask for nothing."""
    same_as: str = ""
    """The parameter that it is another name of."""
    within: dict[str, Cell] = {}
    """Parts and values of it that fare otherwise than the whole."""


ENFORCED = Cell("enforced")
UNKNOWN = Cell("unknown until loaded")


class ModelFacts(msgspec.Struct, frozen=True):
    """What is known of a model once it has been loaded, as far as its cells depend on it."""

    capabilities: EngineCapabilities
    dialect: Dialect = Dialect()
    dimensions: int | None = None
    shorter_dimensions: tuple[int, ...] | None = None
    is_adapter: bool = False


class Mark(ABC):
    """Metadata of a field: `Annotated[…, Mark()]`."""

    @abstractmethod
    def cell(self, facts: ModelFacts | None) -> Cell:
        """facts: None for a model that was never loaded."""


NO_TEMPLATE = "the model has no chat template that can be used"
_LACKS = {
    "constraints": "its engine cannot hold an answer to a form",
    "prompt_logprobs": "its engine does not tell those of a prompt",
    "vision": "it takes no images",
    "fill_in_middle": "its vocabulary has no tokens to fill in the middle of a text with",
}


@dataclass(frozen=True)
class Needs(Mark):
    """An ability of the engine with this model (`EngineCapabilities`)."""

    ability: str
    accepts: tuple[Any, ...] = ()
    """Values that need it not."""

    def cell(self, facts: ModelFacts | None) -> Cell:
        if facts is None:
            return UNKNOWN
        if getattr(facts.capabilities, self.ability):
            return ENFORCED
        return Cell("refused", _LACKS[self.ability], self.accepts)


@dataclass(frozen=True)
class OfTools(Mark):
    """Done by the model's own template, or emulated. held: calls are always held to their form."""

    held: bool = False

    def cell(self, facts: ModelFacts | None) -> Cell:
        if facts is None:
            return UNKNOWN
        if self.held and not facts.capabilities.constraints:
            return Cell("refused", _LACKS["constraints"])
        if facts.dialect.tools != EMULATED:
            return ENFORCED
        return Cell("emulated", "its chat template knows no tools: a message describes them")


class OfThoughts(Mark):
    """Done by the engine, with models that think."""

    def cell(self, facts: ModelFacts | None) -> Cell:
        if facts is None:
            return UNKNOWN
        if not facts.dialect.reasoning:
            return Cell("hint", "its chat template knows no thoughts")
        if facts.capabilities.thinking_budget:
            return ENFORCED
        return Cell("refused", "its engine cannot end this model's thoughts")


class Thinks(Mark):
    """Only for models that think."""

    def cell(self, facts: ModelFacts | None) -> Cell:
        if facts is None:
            return UNKNOWN
        if facts.dialect.reasoning:
            return ENFORCED
        return Cell("refused", "its chat template knows no thoughts", (False,))


class ByTemplate(Mark):
    """Only for models with a chat template."""

    def cell(self, facts: ModelFacts | None) -> Cell:
        if facts is None:
            return UNKNOWN
        return ENFORCED if facts.dialect.chat else Cell("refused", NO_TEMPLATE)


class ForTemplate(Mark):
    """Handed to the chat template as one of these variables. None named: any."""

    def __init__(self, *variables: str) -> None:
        self._variables = variables

    def cell(self, facts: ModelFacts | None) -> Cell:
        if facts is None:
            return UNKNOWN
        read = facts.dialect.variables
        used = [name for name in self._variables if name in read] if self._variables else read
        if used:
            return Cell("enforced", f"its chat template reads {', '.join(used)}")
        return Cell("hint", "its chat template has no use for it")


class Shortened(Mark):
    """A length of vectors, which a model has to be trained for."""

    def cell(self, facts: ModelFacts | None) -> Cell:
        if facts is None:
            return UNKNOWN
        if facts.shorter_dimensions is not None:
            return ENFORCED
        whole = () if facts.dimensions is None else (facts.dimensions,)
        return Cell("refused", "it is not known to be trained for shorter vectors", whole)


@dataclass(frozen=True)
class Without(Mark):
    """The same on every model: known, and not done."""

    reason: str = "not supported by this version of Tricorn"
    accepts: tuple[Any, ...] = ()

    def cell(self, facts: ModelFacts | None) -> Cell:
        return Cell("refused", self.reason, self.accepts)


@dataclass(frozen=True)
class NoEffect(Mark):
    """The same on every model: accepted, and nothing of it shows in the answer."""

    reason: str = "accepted, without effect"

    def cell(self, facts: ModelFacts | None) -> Cell:
        return Cell("hint", self.reason)


class Within:
    """Metadata of a field: parts and values of it that fare otherwise than the whole."""

    def __init__(self, parts: Mapping[str, Mark]) -> None:
        self.parts = dict(parts)


def cell(metadata: list[Any], facts: ModelFacts | None) -> Cell:
    """Of a field with this metadata."""
    whole = next((mark.cell(facts) for mark in metadata if isinstance(mark, Mark)), ENFORCED)
    within = {
        name: mark.cell(facts)
        for one in metadata
        if isinstance(one, Within)
        for name, mark in one.parts.items()
    }
    return msgspec.structs.replace(whole, within=within) if within else whole
