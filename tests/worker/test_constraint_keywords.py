"""A schema that cannot be enforced is refused by name, whichever way it came in and whatever the
model's own words are."""

from __future__ import annotations

from typing import Any

import pytest
from llguidance import LLTokenizer

from tricorn.chat.pieces import Reading
from tricorn.engines.constraints import ConstraintCompiler
from tricorn.engines.request import SamplingParams
from tricorn.engines.spec import Dialect, EngineCapabilities, LoadedModel
from tricorn.errors import InvalidRequest
from tricorn.schemas.chat import ChatRequest
from tricorn.worker.dialogue import Dialogue

CHAT = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
BAD = {"type": "object", "properties": {"a": {"not": {"type": "string"}}}}
FUNCTION = {"name": "f", "parameters": BAD}
TOOL: Any = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
STRICT: Any = {"type": "function", "function": FUNCTION | {"strict": True}}
FORMAT = {"type": "json_schema", "json_schema": {"name": "n", "schema": BAD}}
WAYS: dict[str, tuple[dict[str, Any], str]] = {
    "response_format": ({"response_format": FORMAT}, "response_format"),
    "structured_outputs": ({"structured_outputs": {"json": BAD}}, "structured_outputs.json"),
    "guided_json": ({"guided_json": BAD}, "guided_json"),
    "json_schema": ({"json_schema": BAD}, "json_schema"),
}
DIALECTS = {"plain": Dialect(), "hermes": Dialect("hermes"), "qwen": Dialect("qwen3-coder")}
COMPILER = ConstraintCompiler(LLTokenizer("byte"))


class Vocabulary:
    """An engine's tokenizer without any marker."""

    def tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]:
        return list(text.encode())


def refusal(fields: dict[str, Any], dialect: Dialect, *, thinks: bool) -> InvalidRequest:
    """What the engine worker answers."""
    request = ChatRequest.parse(CHAT | fields)[0]
    model = LoadedModel(100, 300, 1, EngineCapabilities(constraints=True), dialect=dialect)
    dialogue = Dialogue(Vocabulary(), model)  # type: ignore[arg-type]
    reading = None
    if "tools" in fields or thinks:
        reading = Reading(dialect.tools if "tools" in fields else "", "think" if thinks else "")
    with pytest.raises(InvalidRequest) as caught:
        _compile(dialogue.sampling(request.prompt(), reading, request.sampling()))
    return caught.value


def _compile(sampling: SamplingParams) -> None:
    assert sampling.constraint is not None
    COMPILER.matcher(sampling.constraint)


@pytest.mark.parametrize("thinks", [False, True])
@pytest.mark.parametrize("tools", [{}, {"tools": [TOOL]}], ids=["", "tools"])
@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("way", WAYS)
def test_an_answers_schema(way: str, dialect: str, tools: dict[str, Any], thinks: bool) -> None:
    """Beside tools and behind thoughts too, where it is a part of a larger grammar."""
    fields, param = WAYS[way]
    error = refusal(fields | tools, DIALECTS[dialect], thinks=thinks)
    assert error.param == param
    assert '"not"' in error.message


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_strict_tools_schema(dialect: str) -> None:
    """Which names the tools."""
    error = refusal({"tools": [STRICT]}, DIALECTS[dialect], thinks=False)
    assert (error.param or "").startswith("tools")
    assert "not" in error.message
