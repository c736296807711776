"""Answers that have to look like something."""

from __future__ import annotations

import json
import re
from typing import Any

import openai
import pytest
from tests.conformance.ask import complete
from tests.conformance.conftest import Served

SCHEMA = {
    "type": "object",
    "properties": {
        "kind": {"enum": ["river", "bridge"]},
        "old": {"type": "boolean"},
        "arches": {"type": "integer", "minimum": 1, "maximum": 99},
    },
    "required": ["kind", "old", "arches"],
    "additionalProperties": False,
}


def constrained(served: Served, **constraint: Any) -> str:
    """A sampled answer that ends by itself; engines differ in how much white space they allow."""
    answer = complete(
        served,
        temperature=0.7,
        seed=5,
        max_tokens=250,
        extra_body={"structured_outputs": constraint, "ignore_eos": False},
    )
    assert answer.choices[0].finish_reason == "stop", answer.choices[0].text
    return answer.choices[0].text


def test_json_schema(served: Served) -> None:
    """Constraint: JSON schema"""
    found = json.loads(constrained(served, json=SCHEMA))
    assert found["kind"] in ("river", "bridge")
    assert isinstance(found["old"], bool)
    assert 1 <= found["arches"] <= 99
    assert set(found) == {"kind", "old", "arches"}


def test_response_format(served: Served) -> None:
    """Constraint: response_format of a chat"""
    answer = served.client.chat.completions.create(
        model=served.model,
        messages=[{"role": "user", "content": "Describe a bridge."}],
        response_format={
            "type": "json_schema",
            "json_schema": {"name": "bridge", "schema": SCHEMA, "strict": True},
        },
        temperature=0,
        max_tokens=200,
    )
    assert set(json.loads(answer.choices[0].message.content or "")) == {"kind", "old", "arches"}


def test_regex(served: Served) -> None:
    """Constraint: regular expression"""
    assert re.fullmatch(r"[A-F]{3}-\d{2}", constrained(served, regex=r"[A-F]{3}-\d{2}"))


def test_choice(served: Served) -> None:
    """Constraint: choice"""
    assert constrained(served, choice=["left", "right"]) in ("left", "right")


def test_grammar(served: Served) -> None:
    """Constraint: grammar"""
    grammar = 'root ::= "sum: " [0-9] (" + " [0-9])? "."'
    assert re.fullmatch(r"sum: \d( \+ \d)?\.", constrained(served, grammar=grammar))


def test_cut_off(served: Served) -> None:
    """A constrained answer that is cut off says so"""
    answer = complete(served, max_tokens=3, extra_body={"structured_outputs": {"json": SCHEMA}})
    assert answer.choices[0].finish_reason == "length"


def test_bad_schema(served: Served) -> None:
    """A schema that is none is refused"""
    with pytest.raises(openai.BadRequestError) as caught:
        constrained(served, json={"type": "no such type"})
    assert (caught.value.param or "").startswith("structured_outputs")
    # One that cannot be enforced is named, whichever field it came in.
    bad = {"type": "object", "properties": {"a": {"not": {"type": "string"}}}}
    for field in ("guided_json", "json_schema"):
        with pytest.raises(openai.BadRequestError) as caught:
            complete(served, extra_body={field: bad})
        assert caught.value.param == field
        assert '"not"' in caught.value.message
