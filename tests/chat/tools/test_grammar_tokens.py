"""Grammars for vocabularies in which markers are tokens: those count as the markers, and so does
their text."""

from __future__ import annotations

import pytest
from tests.chat.tools.grammars import CALLS, REQUIRED, accepts, held
from tests.chat.tools.written import written

from tricorn.chat.tools.formats import FORMATS
from tricorn.chat.tools.rules import ToolRules
from tricorn.engines.request import Constraint


def test_markers_may_be_tokens() -> None:
    """A control token counts as the marker that it is named by; its text still does."""
    tokens = {"<tool_call>": 1, "</think>": 2}
    free = held("hermes", ToolRules(), reasoning="think", thinking=True, tokens=tokens)
    call = CALLS["hermes"].removeprefix("<tool_call>")
    assert accepts(free, "Hm.\x02Well, \x01" + call)
    assert accepts(free, "Hm.</think>Well, <tool_call>" + call)
    assert not accepts(free, "Hm.\x02Well, \x01 no")


@pytest.mark.parametrize("form", [form for form in FORMATS if FORMATS[form].markers])
def test_calls_of_control_tokens(form: str) -> None:
    """In every format: the markers in calls may be tokens, and any of them may be text."""
    markers = FORMATS[form].markers
    ids = [number for number in range(1, 32) if number not in (9, 10, 13)]
    tokens = dict(zip(markers, ids, strict=False))
    function = {"name": "yy", "parameters": {"properties": {"a": {"type": "string"}}}}
    text = written(form, ("yy", {"a": "b <c"}), ("yy", {"a": ""}))
    spelled = text
    for marker in sorted(markers, key=len, reverse=True):
        spelled = spelled.replace(marker, chr(tokens[marker]))
    reasoning = "harmony" if form == "harmony" else ""
    for rules in (REQUIRED, ToolRules()):
        only = held(form, rules, functions=[function], reasoning=reasoning, tokens=tokens)
        for answer in (text, spelled):
            assert accepts(only, answer)
            assert not accepts(only, answer.replace("yy", "yz"))
            if FORMATS[form].trigger and not rules.required and not reasoning:
                assert accepts(only, "Well. " + answer)


def test_answer_tags_of_control_tokens() -> None:
    """Around text, calls and JSON alike."""
    tokens = {"<|START_RESPONSE|>": 1, "<|END_RESPONSE|>": 2, "<|START_ACTION|>": 3}
    free = held("cohere", ToolRules(), reasoning="cohere", tokens=tokens)
    for text in ("\x01Hello.\x02", "Hello.", CALLS["cohere"].replace("<|START_ACTION|>", "\x03")):
        assert accepts(free, text)
        assert accepts(free, f"<|START_THINKING|>Hm<|END_THINKING|>{text}")
    only = held(None, ToolRules(), Constraint("json_object"), reasoning="cohere", tokens=tokens)
    assert accepts(only, "\x01{}\x02")
    assert not accepts(only, "\x01Hello.\x02")
