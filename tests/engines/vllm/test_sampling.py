"""Our sampling parameters in vLLM's names."""

from __future__ import annotations

import json

import pytest

from tricorn.engines import json_style
from tricorn.engines.request import Constraint, ConstraintKind, SamplingParams, ThoughtLimit
from tricorn.engines.vllm.sampling import arguments, sequences, structured, thinking_budget
from tricorn.errors import InvalidRequest


def test_every_parameter_is_handed_on() -> None:
    """Each under vLLM's name, with its value."""
    sampling = SamplingParams(
        temperature=0.7,
        top_p=0.9,
        top_k=40,
        min_p=0.05,
        presence_penalty=0.1,
        frequency_penalty=0.2,
        repetition_penalty=1.1,
        logit_bias={5: -100.0},
        seed=7,
        stop=("a", "b"),
        stop_token_ids=(3,),
        max_tokens=9,
        min_tokens=2,
        ignore_eos=True,
        logprobs=4,
        n=3,
    )
    assert arguments(sampling, vocab_size=10) == {
        "n": 3,
        "temperature": 0.7,
        "top_p": 0.9,
        "top_k": 40,
        "min_p": 0.05,
        "presence_penalty": 0.1,
        "frequency_penalty": 0.2,
        "repetition_penalty": 1.1,
        "logit_bias": {5: -100.0},
        "seed": 7,
        "stop": ["a", "b"],
        "stop_token_ids": [3],
        "max_tokens": 9,
        "min_tokens": 2,
        "ignore_eos": True,
        "skip_special_tokens": True,
        "spaces_between_special_tokens": True,
        "logprobs": 4,
    }


def test_no_parameter_is_forgotten() -> None:
    """A new field of ours must find its way to vLLM."""
    special = {"skip_special_tokens", "spaces_between_special_tokens"}
    handed_on = arguments(SamplingParams(), vocab_size=10).keys() - special
    # `thought` changes what becomes of `stop`, `shown_tokens` is what `special` is made of.
    elsewhere = {"constraint", "thought", "shown_tokens", "calls"}
    elsewhere |= {"thinking_budget", "thought_limit"}
    assert handed_on | elsewhere == set(SamplingParams.__struct_fields__)


@pytest.mark.parametrize(
    ("sampling", "expected"),
    [
        (SamplingParams(n=4), 4),
        (SamplingParams(n=4, temperature=0), 1),
        (SamplingParams(n=4, max_tokens=0), 1),
    ],
)
def test_equal_sequences_are_computed_once(sampling: SamplingParams, expected: int) -> None:
    """vLLM refuses several sequences of a greedy request."""
    assert sequences(sampling) == expected
    assert arguments(sampling, vocab_size=10)["n"] == expected


def test_what_vllm_refuses_is_emulated() -> None:
    """max_tokens=0 asks for a token that is dropped; top_p=0 leaves the likeliest one."""
    made = arguments(SamplingParams(max_tokens=0, top_p=0), vocab_size=10)
    assert made["max_tokens"] == 1
    assert 0 < made["top_p"] < 1e-3
    assert arguments(SamplingParams(max_tokens=None), vocab_size=10)["max_tokens"] is None


@pytest.mark.parametrize("token", [-1, 10])
def test_a_bias_on_no_token_is_refused(token: int) -> None:
    """The field is named."""
    with pytest.raises(InvalidRequest, match="from 0 to 9") as caught:
        arguments(SamplingParams(logit_bias={token: 1.0}), vocab_size=10)
    assert caught.value.param == "logit_bias"


@pytest.mark.parametrize(
    ("constraint", "expected"),
    [
        (Constraint("regex", "a+"), {"regex": "a+"}),
        (Constraint("choice", '["yes","no"]'), {"choice": ["yes", "no"]}),
        (Constraint("grammar", 'start: "a"'), {"grammar": 'start: "a"'}),
    ],
)
def test_constraints(constraint: Constraint, expected: object) -> None:
    """Each kind under vLLM's name."""
    assert structured(constraint) == expected


@pytest.mark.parametrize("kind", ["json_object", "json_schema"])
def test_json_is_written_as_on_every_engine(kind: ConstraintKind) -> None:
    """vLLM's own compiler takes the options from the schema, over what is in there already."""
    schema = '{"type": "object", "x-guidance": {"lenient": true}}'
    found = structured(Constraint(kind, schema if kind == "json_schema" else ""))
    assert json.loads(found["json"]) == {"type": "object", "x-guidance": json_style.OPTIONS}


@pytest.mark.parametrize(
    ("opened", "prompt", "expected"),
    [
        (False, [1, 7, 8, 2], 5),
        (True, [1, 7, 8], 5),
        (True, [1, 7, 8, 2, 3], 7),
        (True, [7, 8, 2, 7, 8, 3], 6),  # the last one counts
        (True, [1], 5),
    ],
)
def test_thinking_budget(opened: bool, prompt: list[int], expected: int) -> None:
    """vLLM counts from the mark on, wherever the prompt ends."""
    limit = ThoughtLimit(5, "<t>", "</t>", ((9,),), opened)
    assert thinking_budget(limit, prompt, [7, 8]) == expected
