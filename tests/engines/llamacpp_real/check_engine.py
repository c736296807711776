"""The llama.cpp engine with SmolLM2, step by step. Run by `test_llamacpp_real.py`."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tricorn.engines.llamacpp import binding
from tricorn.engines.llamacpp.engine import LlamaCppCore
from tricorn.engines.request import Constraint, GenerateRequest, SamplingParams, TokenDelta
from tricorn.engines.spec import EngineOptions, ModelSpec
from tricorn.engines.stepped import SteppedEngine
from tricorn.errors import (
    EngineGenerateError,
    EngineLost,
    InvalidRequest,
    ModelLoadFailed,
    TricornError,
)

MODEL = Path(__file__).parents[3] / "models" / "SmolLM2-135M-Instruct.Q4_1.gguf"
SPEC = ModelSpec(
    "m", str(MODEL), "gguf", "llamacpp", "a test", 0, 0,
    EngineOptions(context_length=1024, max_num_seqs=4, threads=1, engine_args={"n_batch": 1024}),
)  # fmt: skip

CHAT = "<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n"
STORY = CHAT.format("Tell me a long story.")
FRANCE = CHAT.format("Name the capital of France.")
PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 12},
        "age": {"type": "integer", "minimum": 0, "maximum": 120},
    },
    "required": ["name", "age"],
    "additionalProperties": False,
}


@pytest.fixture(scope="module")
def loaded() -> Iterator[LlamaCppCore]:
    core = LlamaCppCore()
    assert core.open(SPEC).capabilities.constraints
    yield core
    core.close()


@pytest.fixture
def core(loaded: LlamaCppCore) -> Iterator[LlamaCppCore]:
    """Nothing runs before and after."""
    yield loaded
    for request in [*loaded._scheduler.running, *loaded._scheduler.waiting]:
        loaded.abort(request.request.request_id)
    assert not loaded.busy()


def start(core: LlamaCppCore, name: str, prompt: str, **sampling: Any) -> None:
    options = {"temperature": 0.0, "max_tokens": 12} | sampling
    ids = core.tokenize(prompt, add_special=False, parse_special=True)
    request = GenerateRequest(name, ids, SamplingParams(**options))
    core.prepare(request)() if request.sampling.constraint else core.submit(request)


class Answers(dict[tuple[str, int], list[TokenDelta]]):
    """By request and index."""

    def text(self, name: str, index: int = 0) -> str:
        return "".join(delta.text for delta in self[name, index])

    def end(self, name: str, index: int = 0) -> tuple[Any, Any]:
        return self[name, index][-1].finish_reason, self[name, index][-1].stop_reason


def step(core: LlamaCppCore, answers: Answers) -> dict[str, TricornError]:
    errors = {}
    for name, item in core.step():
        if isinstance(item, TricornError):
            errors[name] = item
        else:
            answers.setdefault((name, item.index), []).append(item)
    return errors


def finish(core: LlamaCppCore, answers: Answers | None = None) -> Answers:
    answers = Answers() if answers is None else answers
    while core.busy():
        assert step(core, answers) == {}
    return answers


def alone(core: LlamaCppCore, prompt: str, **sampling: Any) -> str:
    start(core, "alone", prompt, **sampling)
    return finish(core).text("alone")


def regex(pattern: str) -> Constraint:
    return Constraint("regex", pattern, "p")


# --- when decoding does not go well ---------------------------------------------------------------


def test_no_room_where_the_count_says_there_is(
    core: LlamaCppCore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Parked prefixes go first, then the youngest sequence waits; every answer is as without."""
    expected = [alone(core, STORY), alone(core, FRANCE)]
    answers = Answers()
    start(core, "a", STORY)
    start(core, "b", FRANCE)
    while len(answers) < 2:
        step(core, answers)
    before = core.stats().preemptions
    decode = core._context.decode
    refusals = [binding.NO_ROOM] * 3
    monkeypatch.setattr(core._context, "decode", lambda: refusals.pop() if refusals else decode())
    finish(core, answers)
    assert core.stats().preemptions > before
    assert [answers.text("a"), answers.text("b")] == expected


def test_no_room_for_one_alone_is_the_engines_end(
    core: LlamaCppCore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is nothing left to make room with."""
    monkeypatch.setattr(core._context, "decode", lambda: binding.NO_ROOM)
    start(core, "a", FRANCE)
    with pytest.raises(binding.DecodeError, match="no room"):
        finish(core)


def test_an_abort_cuts_a_long_prefill_short(
    core: LlamaCppCore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """llama.cpp stops inside the decode, the others' chunks are undone and done again."""
    expected = alone(core, FRANCE)
    decode, results = core._context.decode, list[int]()

    def interrupted_decode() -> int:
        core.interrupt("long")
        results.append(decode())
        return results[-1]

    start(core, "long", "one two three four five six " * 120)
    start(core, "other", FRANCE)
    answers = Answers()
    with monkeypatch.context() as patch:
        patch.setattr(core._context, "decode", interrupted_decode)
        assert step(core, answers) == {}
    assert (results, answers) == ([binding.ABORTED], {})
    core.abort("long")
    assert finish(core, answers).text("other") == expected
    assert core.stats().running == 0


def test_what_cannot_be_cut_is_not_aborted(
    core: LlamaCppCore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A recurrent model's state cannot be cut back to before the step."""
    decode, results = core._context.decode, list[int]()

    def interrupted_decode() -> int:
        core.interrupt("long")
        results.append(decode())
        return results[-1]

    monkeypatch.setattr(core._model, "shares_prefixes", False)
    start(core, "long", "one two three four five six " * 20, max_tokens=1)
    monkeypatch.setattr(core._context, "decode", interrupted_decode)
    finish(core)
    assert set(results) == {0}


def test_a_failed_load_tells_the_cause(tmp_path: Path) -> None:
    """llama.cpp's first complaint, not its last one."""
    cut = tmp_path / "cut.gguf"
    with MODEL.open("rb") as whole:
        cut.write_bytes(whole.read(20 << 20))
    with pytest.raises(ModelLoadFailed, match="not within the file bounds"):
        LlamaCppCore().open(msgspec.structs.replace(SPEC, path=str(cut)))


def test_an_abort_of_another_request_disturbs_no_prefill(
    core: LlamaCppCore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only those that are being read are worth stopping for."""
    decode, results = core._context.decode, list[int]()

    def decode_meanwhile() -> int:
        core.interrupt("nobody")
        results.append(decode())
        return results[-1]

    start(core, "a", "one two three four five six " * 20, max_tokens=1)
    monkeypatch.setattr(core._context, "decode", decode_meanwhile)
    finish(core)
    assert set(results) == {0}


def test_a_decode_error_loses_the_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Running streams and later requests get EngineLost."""

    async def scenario() -> None:
        core = LlamaCppCore()
        engine = SteppedEngine(core)
        await engine.load(SPEC)

        def broken() -> int:
            raise binding.DecodeError("llama_decode gave -3")

        monkeypatch.setattr(core._context, "decode", broken)
        request = GenerateRequest("a", [1, 2, 3], SamplingParams())
        for _ in range(2):
            with pytest.raises(EngineLost, match="llama_decode gave -3"):
                await anext(engine.generate(request))
        await engine.unload()

    asyncio.run(scenario())


# --- constraints ----------------------------------------------------------------------------------


@pytest.mark.parametrize("sampling", [{}, {"temperature": 1.5, "top_p": 0.9, "seed": 2}])
def test_an_answer_follows_its_schema(core: LlamaCppCore, sampling: dict[str, Any]) -> None:
    """Greedy and not: valid JSON that ends by itself, beside an answer without constraint."""
    free = alone(core, FRANCE)
    person = Constraint("json_schema", json.dumps(PERSON))
    start(core, "json", STORY, max_tokens=200, constraint=person, **sampling)
    start(core, "free", FRANCE)
    answers = finish(core)
    assert list(json.loads(answers.text("json"))) == ["name", "age"]
    assert answers.end("json") == ("stop", None)
    assert answers.text("free") == free


def test_each_of_n_answers_has_its_own_matcher(core: LlamaCppCore) -> None:
    """None is in another's state."""
    start(core, "a", STORY, n=4, temperature=2.0, seed=1, constraint=regex("[a-z]{3} [a-z]{3}"))
    answers = finish(core)
    texts = [answers.text("a", index) for index in range(4)]
    assert all(re.fullmatch("[a-z]{3} [a-z]{3}", text) for text in texts), texts
    assert len(set(texts)) > 1


def test_a_preempted_answer_goes_on_where_it_was(core: LlamaCppCore) -> None:
    """The matcher keeps its state while the sequence is computed again."""
    options = {"max_tokens": 60, "constraint": Constraint("json_schema", json.dumps(PERSON))}
    expected = alone(core, STORY, **options)
    start(core, "a", STORY, **options)
    answers = Answers()
    while len(answers.get(("a", 0), [])) < 4:
        step(core, answers)
    core._scheduler.preempt()
    assert finish(core, answers).text("a") == expected


def test_logprobs_know_nothing_of_the_constraint(core: LlamaCppCore) -> None:
    """They are the model's own: the likeliest tokens are those it would have said."""
    start(core, "free", FRANCE, logprobs=3, max_tokens=1)
    start(core, "bound", FRANCE, logprobs=3, max_tokens=1, constraint=regex("[xyz]{3}"))
    answers = finish(core)
    (free,), (bound,) = (answers[name, 0][0].logprobs for name in ("free", "bound"))  # type: ignore[misc]
    assert [entry.token for entry in bound.top] == [entry.token for entry in free.top]
    assert bound.logprob < bound.top[-1].logprob


def test_max_tokens_cuts_it(core: LlamaCppCore) -> None:
    """`length`: the answer is not claimed to be whole."""
    person = Constraint("json_schema", json.dumps(PERSON))
    start(core, "a", STORY, max_tokens=3, constraint=person)
    assert finish(core).end("a") == ("length", None)


def test_a_stop_string_ends_it(core: LlamaCppCore) -> None:
    """As without a constraint."""
    start(core, "a", STORY, stop=("-",), constraint=regex("[ab]{2}-[ab]{2}"))
    answers = finish(core)
    assert re.fullmatch("[ab]{2}", answers.text("a"))
    assert answers.end("a") == ("stop", "-")


@pytest.mark.parametrize("shown", [(), (3,)])
def test_control_tokens_are_shown_on_demand(core: LlamaCppCore, shown: tuple[int, ...]) -> None:
    """A grammar can ask for one, and its name is a part of the text where that is wanted."""
    grammar = Constraint("grammar", 'start: "a" (<[3]> | "<repo_name>") "b"')
    bias = {3: 50.0}
    text = alone(
        core, FRANCE, constraint=grammar, max_tokens=20, shown_tokens=shown, logit_bias=bias
    )
    assert text == ("a<repo_name>b" if shown else "ab")


@pytest.mark.parametrize("ban", [{"min_tokens": 10}, {"ignore_eos": True}])
def test_nothing_follows_a_finished_answer(core: LlamaCppCore, ban: dict[str, Any]) -> None:
    """min_tokens and ignore_eos cannot break a constraint; where there is a choice they hold."""
    start(core, "done", STORY, constraint=Constraint("choice", '["yes"]'), **ban)
    start(core, "open", STORY, constraint=regex("[a-z]+"), **ban)
    answers = finish(core)
    assert (answers.text("done"), answers.end("done")) == ("yes", ("stop", None))
    assert len(answers["open", 0]) >= 10


def test_a_bad_constraint_is_refused_before_it_is_queued(core: LlamaCppCore) -> None:
    """By its name; nothing is left behind."""
    with pytest.raises(InvalidRequest) as caught:
        start(core, "a", STORY, constraint=regex("(a"))
    assert caught.value.param == "p"
    assert not core.busy()


def test_a_constraint_that_fails_on_the_way_ends_its_request_only(
    core: LlamaCppCore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All n answers of it; the others and the engine go on."""
    expected = alone(core, FRANCE)
    start(core, "bad", STORY, n=2, temperature=1.0, constraint=regex("[a-z ]+"))
    start(core, "good", FRANCE)

    def fails(_token: int) -> None:
        raise EngineGenerateError("too complex")

    second = [s for s in core._scheduler.waiting if s.request.request_id == "bad"][1]
    monkeypatch.setattr(second.matcher, "accept", fails)
    answers, errors = Answers(), dict[str, TricornError]()
    while core.busy():
        errors |= step(core, answers)
    assert [type(error) for error in errors.values()] == [EngineGenerateError]
    assert answers.text("good") == expected


# --- what ended sequences leave behind ------------------------------------------------------------


@pytest.mark.parametrize(
    ("caching", "cached"),
    [({"prefix_cache": False}, [False, False]), ({"cache_size": 1}, [False, True])],
)
def test_prefixes_that_are_kept(caching: dict[str, Any], cached: list[bool]) -> None:
    """ENABLE_CACHING and CACHE_SIZE: the first prompt comes again, then another, then the first."""
    core = LlamaCppCore()
    options = msgspec.structs.replace(SPEC.options, **caching)
    details = core.open(msgspec.structs.replace(SPEC, options=options)).details
    try:
        found = {}
        for name, prompt in (
            ("a", STORY),
            ("again", STORY),
            ("other", FRANCE * 20),
            ("late", STORY),
        ):
            start(core, name, prompt, max_tokens=1)
            found[name] = finish(core)[name, 0][0].cached_tokens or 0
        whole = len(core.tokenize(STORY, add_special=False, parse_special=True)) - 1
        assert [found[name] == whole for name in ("a", "again")] == cached
        assert found["late"] < whole
        assert details["prefix_caching"] == cached[1]
    finally:
        core.close()
