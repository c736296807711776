"""How tokens are chosen: the same on every engine."""

from __future__ import annotations

import queue
from typing import Any

import pytest
from tests.conformance import reference
from tests.conformance.ask import PROMPT, complete, text, token_ids
from tests.conformance.conftest import Served
from tests.conformance.engines import ENGINES

from tricorn.engines.request import Constraint, SamplingParams, ThoughtLimit
from tricorn.worker.protocol import Delta, Failed, Finished, TokenPrompt

A, B = "253", "260"
"""Two tokens whose logits a bias lifts above all others, the first one more than the second."""
BOTH = {A: 100, B: 90}
THOUGHT_BEGINS, THOUGHT_ENDS = 3, 5
"""`<repo_name>` and `<file_sep>`: the models do not think, and any two control tokens will do."""
ANSWER_AFTER_THOUGHT = Constraint(
    "grammar", f'start: thought "yes"\nthought: /(?s:.*)/ <[{THOUGHT_ENDS}]>'
)


def test_seed(served: Served) -> None:
    """The same seed, the same answer; another seed, another"""
    options = {"temperature": 1, "max_tokens": 24}
    first = text(served, seed=1, **options)
    assert first == text(served, seed=1, **options)
    assert first != text(served, seed=2, **options)


def test_logprobs(served: Served) -> None:
    """Log probabilities within 0.01 of transformers'"""
    engine = ENGINES["vllm"]
    if engine.missing() is not None:
        pytest.skip(f"the reference needs torch: {engine.missing()}")
    reference_model = served.engine if served.engine.name == "mlx" else engine
    prompt = [504, 6180, 282, 4649, 314, 253, 3177, 28]
    folder = reference_model.model(reference_model)
    expected = reference.continuation(engine.python, folder, prompt, 8)
    answer = complete(served, prompt, max_tokens=8, logprobs=2, model=served.engine.exact_name)
    found = answer.choices[0].logprobs
    assert found is not None
    assert found.token_logprobs == pytest.approx([value for _, value in expected], abs=1e-2)
    assert found.top_logprobs is not None
    for chosen, value, top in zip(
        found.tokens or [], found.token_logprobs or [], found.top_logprobs, strict=True
    ):
        assert top[chosen] == pytest.approx(value or 0, abs=1e-4)
        assert value == max(top.values()), "greedy takes the likeliest"


def test_quantised(served: Served) -> None:
    """A quantised model says nearly what the plain one says"""
    engine = served.engine
    if engine.quantised is None:
        pytest.skip(f"no quantised model for {engine.name} on a CPU can be made here")

    def likeliest(model: str) -> dict[str, float]:
        found = complete(served, max_tokens=1, logprobs=5, model=model).choices[0].logprobs
        assert found is not None
        assert found.top_logprobs is not None
        return found.top_logprobs[0]

    plain, quantised = likeliest(engine.exact_name), likeliest(f"{engine.name}-quantised")
    assert plain != quantised
    best = max(plain, key=lambda token: plain[token])
    assert quantised[best] == pytest.approx(plain[best], abs=0.3)


def test_logit_bias(served: Served) -> None:
    """logit_bias forces and forbids"""
    a, b = (token_ids(served, logit_bias={token: 100}, max_tokens=4) for token in (A, B))
    assert len(set(a)) == len(set(b)) == 1
    assert a != b
    assert token_ids(served, logit_bias={A: 100, B: 60}, max_tokens=4) == a
    assert token_ids(served, logit_bias={A: -100, B: 60}, max_tokens=4) == b


def test_frequency_penalty(served: Served) -> None:
    """frequency_penalty grows with each repetition"""
    assert len(set(token_ids(served, logit_bias=BOTH, max_tokens=32))) == 1
    penalised = token_ids(served, logit_bias=BOTH, max_tokens=32, frequency_penalty=2)
    assert len(set(penalised)) == 2


def test_repetition_penalty(served: Served) -> None:
    """repetition_penalty counts prompt and answer"""
    prompt, options = [504, 6180], {"logit_bias": BOTH, "max_tokens": 2}
    first, *_ = token_ids(served, prompt, **options)
    changed = token_ids(served, prompt, **options, extra_body={"repetition_penalty": 1.5})
    assert changed[0] == first
    assert changed[1] != first


def test_top_k(served: Served) -> None:
    """top_k, top_p and min_p leave only the likeliest"""
    greedy = text(served)
    options = {"temperature": 1, "seed": 3}
    assert text(served, **options) != greedy
    assert text(served, **options, extra_body={"top_k": 1}) == greedy
    assert text(served, **options, top_p=1e-6) == greedy
    assert text(served, **options, extra_body={"min_p": 1.0}) == greedy


def test_prompt_forms(served: Served) -> None:
    """Prompts as text, as tokens, and several at once"""
    both = complete(served, [PROMPT, "Another one:"], max_tokens=6)
    assert both.choices[0].text == text(served, max_tokens=6)
    assert both.choices[1].text == text(served, "Another one:", max_tokens=6)
    assert text(served, [504, 6180, 282], max_tokens=4)


@pytest.mark.parametrize("held", [False, True])
def test_thinking_budget(served: Served, held: bool) -> None:
    """A thought is ended when it has its tokens, in a constrained answer too"""
    inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
    limit = ThoughtLimit(6, "<repo_name>", "<file_sep>", ((THOUGHT_ENDS,),), opened=True)
    sampling = SamplingParams(
        temperature=0, max_tokens=12, ignore_eos=not held, thought_limit=limit,
        shown_tokens=(THOUGHT_ENDS,), constraint=ANSWER_AFTER_THOUGHT if held else None,
    )  # fmt: skip
    prompt = TokenPrompt([504, 6180, 282, 4649, 314, THOUGHT_BEGINS])
    tokens: list[int] = []
    text = ""
    with served.server.engine_client() as engine:
        engine.start(request_id="budget", prompt=prompt, sampling=sampling, inbox=inbox)
        while not isinstance(event := inbox.get(timeout=60), Finished | Failed):
            if isinstance(event, Delta):
                tokens += event.delta.token_ids
                text += event.delta.text
    assert isinstance(event, Finished), event
    assert tokens.index(THOUGHT_ENDS) == 6
    if held:
        assert text.endswith("<file_sep>yes")
