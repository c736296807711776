"""What a constraint lets a model write that knows nothing."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
from llguidance import LLTokenizer
from tests.chat.tools.written import written

from tricorn.chat.tools.formats import FORMATS
from tricorn.chat.tools.grammar import constraint as make
from tricorn.chat.tools.rules import ToolRules
from tricorn.engines.constraints import ConstraintCompiler, Matcher
from tricorn.engines.request import Constraint

TOKENIZER = LLTokenizer("byte")
COMPILER = ConstraintCompiler(TOKENIZER)
EOS = TOKENIZER.eos_token
REQUIRED = ToolRules(required=True)
WEATHER: dict[str, Any] = {
    "name": "get_weather",
    "strict": True,
    "parameters": {
        "type": "object",
        "properties": {
            "unit": {"type": "string", "enum": ["C", "F"]},
            "days": {"type": "integer", "minimum": 1, "maximum": 9},
            "flag": {"type": "boolean"},
            "place": {"$ref": "#/$defs/place"},
        },
        "required": ["unit", "place"],
        "$defs": {"place": {"enum": ["here", 5, None]}},
    },
}
NOW: dict[str, Any] = {"name": "now"}
FUNCTIONS = [WEATHER, NOW]
TOOLS = [{"type": "function", "function": function} for function in FUNCTIONS]
CALLS = {form: written(form, ("now", {})) for form in FORMATS}


def held(
    form: str | None,
    rules: ToolRules = REQUIRED,
    answer: Constraint | None = None,
    *,
    functions: list[dict[str, Any]] = FUNCTIONS,
    reasoning: str = "",
    thinking: bool = False,
    tokens: dict[str, int] | None = None,
) -> Constraint:
    found = make(
        FORMATS[form] if form else None, functions, rules, answer, reasoning=reasoning,
        thinking=thinking, tokens=tokens or {},
    )  # fmt: skip
    assert found is not None
    return found


def allowed(matcher: Matcher) -> list[int]:
    logits = np.zeros(TOKENIZER.vocab_size, dtype=np.float32)
    matcher.mask(logits)
    return [int(token) for token in np.flatnonzero(logits == 0)]


def accepts(constraint: Constraint, text: str) -> bool:
    """The text is a whole answer."""
    matcher = COMPILER.matcher(constraint)
    for byte in text.encode():
        if byte not in allowed(matcher):
            return False
        matcher.accept(byte)
    return EOS in allowed(matcher)


def babble(constraint: Constraint, seed: int) -> str | None:
    """An answer of a model that knows nothing; None where it does not end."""
    chance = random.Random(seed)
    matcher = COMPILER.matcher(constraint)
    written = bytearray()
    while len(written) < 1500:
        choices = allowed(matcher)
        if EOS in choices and chance.random() < 0.5:
            return written.decode()
        token = chance.choice(choices)
        if token == EOS:
            return written.decode()
        matcher.accept(token)
        written.append(token)
    return None
