"""Whatever the schema, what a model that knows nothing writes under it follows it: as an answer,
and as the arguments of a call in every format."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from tests.chat.tools.grammars import babble, held
from tests.chat.tools.reading import joined
from tests.json_schemas import DEFINED, Schema, follows, objects, scalars, schemas

from tricorn.chat.answer_reader import AnswerReader
from tricorn.chat.pieces import Reading
from tricorn.chat.tools.formats import FORMATS
from tricorn.chat.tools.rules import ToolRules
from tricorn.engines.request import Constraint
from tricorn.errors import InvalidRequest

SLOW = settings(deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
SEEDS = st.integers(0, 1_000_000)


def babbled(constraint: Constraint, seed: int) -> str:
    text = babble(constraint, seed)
    assume(text is not None)
    assert text is not None
    return text


@settings(SLOW, max_examples=80)
@given(schema=schemas(), seed=SEEDS, thinks=st.booleans())
def test_answers_follow_their_schema(schema: Schema, seed: int, thinks: bool) -> None:
    """Also behind a thought."""
    answer = Constraint("json_schema", json.dumps(schema | {"$defs": DEFINED}))
    if thinks:
        answer = held(None, ToolRules(), answer, reasoning="think")
        reader = AnswerReader(Reading("", "think"), [])
        content, _, _ = joined(reader.feed(babbled(answer, seed)) + reader.finish(cut=False))
    else:
        content = babbled(answer, seed)

    assert follows(json.loads(content), schema), content


@settings(SLOW, max_examples=200)
@given(
    form=st.sampled_from(list(FORMATS)),
    schema=objects(schemas() | scalars()),
    seed=SEEDS,
    parallel=st.booleans(),
)
def test_arguments_follow_their_schema(
    form: str, schema: dict[str, Any], seed: int, parallel: bool
) -> None:
    """Strict calls; a format that cannot hold one to its schema says so instead."""
    function = {"name": "find", "strict": True, "parameters": schema | {"$defs": DEFINED}}
    tools = [{"type": "function", "function": function}]
    rules = ToolRules(required=True, parallel=parallel)
    if FORMATS[form].arguments not in ("json", "python") and any(
        {"pattern", "minLength"} & set(one) for one in schema["properties"].values()
    ):
        with pytest.raises(InvalidRequest) as caught:
            held(form, rules, functions=[function])
        assert caught.value.param == rules.param
        return
    constraint = held(form, rules, functions=[function])
    text = babbled(constraint, seed)
    reader = AnswerReader(Reading(form), tools)
    content, _, calls = joined(reader.feed(text) + reader.finish(cut=False))

    assert content == ""
    assert calls
    assert parallel or len(calls) == 1
    for name, arguments in calls:
        assert name == "find"
        assert follows(json.loads(arguments), schema), text
