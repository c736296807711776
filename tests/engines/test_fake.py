"""The engine without a model."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tricorn.engines.fake import create
from tricorn.engines.fake_answers import EOS
from tricorn.engines.request import Constraint, GenerateRequest, SamplingParams, TokenDelta
from tricorn.engines.spec import EngineOptions, ModelSpec
from tricorn.errors import ModelLoadFailed


def spec(context_length: int | None = None, **engine_args: Any) -> ModelSpec:
    options = EngineOptions(context_length=context_length, engine_args=engine_args)
    return ModelSpec("m", "", "fake", "fake", "a test", 0, 0, options)


def generate(
    model: ModelSpec, prompt: list[int] | str, **sampling: Any
) -> tuple[str, list[TokenDelta]]:
    """The text of sequence 0, and all deltas."""

    async def scenario() -> list[TokenDelta]:
        async with asyncio.timeout(20):
            engine = create()
            await engine.load(model)
            ids = list(prompt.encode()) if isinstance(prompt, str) else prompt
            request = GenerateRequest("r", ids, SamplingParams(**sampling))
            deltas = [delta async for delta in engine.generate(request)]
            await engine.unload()
            return deltas

    deltas = asyncio.run(scenario())
    return "".join(delta.text for delta in deltas if delta.index == 0), deltas


def test_it_repeats_the_last_message() -> None:
    """One token a byte, then EOS, and the finish reason on the last delta only."""
    text, deltas = generate(spec(), "user: one\nuser: hé\nassistant: ")
    assert text == "hé"
    assert [delta.token_ids for delta in deltas] == [[byte] for byte in "hé".encode()] + [[EOS]]
    assert [delta.finish_reason for delta in deltas] == [None] * 3 + ["stop"]
    assert [delta.cached_tokens for delta in deltas] == [0, None, None, None]


def test_answer_and_endless_set_the_text() -> None:
    """`answer` replaces the echo; `endless` goes on with it up to max_tokens."""
    assert generate(spec(answer="abc"), "x")[0] == "abc"
    text, deltas = generate(spec(answer="abc", endless=True), "x", max_tokens=7)
    assert (text, deltas[-1].finish_reason) == ("abcabca", "length")


def test_the_answer_to_a_constraint_is_its_text() -> None:
    """So that a test sees what arrived; the capability is there only when asked for."""
    choice = Constraint("choice", '["a"]')
    assert generate(spec(constraints=True), "x", constraint=choice)[0] == '["a"]'
    assert generate(spec(constraints=True), "x", constraint=Constraint("json_object"))[0] == "{}"
    assert generate(spec(constraints=True, echo=True), "x", constraint=choice)[0] == "x"
    for wanted in (False, True):
        loaded = asyncio.run(create().load(spec(constraints=wanted)))
        assert loaded.capabilities.constraints is wanted


def test_it_ends_where_the_context_is_full() -> None:
    """Prompt and answer together."""
    text, deltas = generate(spec(16, answer="a", endless=True), "x" * 10)
    assert (text, deltas[-1].finish_reason) == ("aaaaaa", "length")


def test_stop_strings_and_stop_tokens() -> None:
    """The stop string does not show; what ended the sequence is told."""
    text, deltas = generate(spec(answer="one STOP two"), "x", stop=("STOP",))
    assert (text, deltas[-1].stop_reason) == ("one ", "STOP")
    text, deltas = generate(spec(answer="abc"), "x", stop_token_ids=(ord("b"),))
    assert (text, deltas[-1].stop_reason) == ("a", ord("b"))


def test_max_tokens_zero_gives_no_token() -> None:
    """Prefill only."""
    text, deltas = generate(spec(), "x", max_tokens=0)
    assert (text, len(deltas), deltas[0].finish_reason) == ("", 1, "length")


def test_min_tokens_and_ignore_eos_put_off_the_end() -> None:
    """EOS becomes a space until it may come."""
    assert generate(spec(answer="ab"), "x", min_tokens=4)[0] == "ab  "
    assert generate(spec(answer="ab"), "x", ignore_eos=True, max_tokens=5)[0] == "ab   "


def test_prompt_logprobs_come_once_and_first() -> None:
    """Of the prompt's tokens from the second one on, with the request's first delta."""

    async def scenario() -> list[TokenDelta]:
        async with asyncio.timeout(20):
            engine = create()
            await engine.load(spec())
            request = GenerateRequest("r", [97, 98, 99], SamplingParams(n=2), prompt_logprobs=1)
            deltas = [delta async for delta in engine.generate(request)]
            await engine.unload()
            return deltas

    first, *others = asyncio.run(scenario())
    assert first.prompt_logprobs is not None
    told = [(entry.token_id, entry.rank, len(entry.top)) for entry in first.prompt_logprobs]
    assert told == [(98, 1, 1), (99, 1, 1)]
    assert all(delta.prompt_logprobs is None for delta in others)


def test_n_sequences_each_end() -> None:
    """Every index has its own finish reason."""
    _, deltas = generate(spec(answer="ab"), "x", n=3)
    assert sorted(delta.index for delta in deltas if delta.finish_reason) == [0, 1, 2]


def test_logprobs_are_as_many_as_asked() -> None:
    """The chosen token comes first."""
    _, deltas = generate(spec(answer="a"), "x", logprobs=3)
    first = deltas[0].logprobs
    assert first is not None
    assert (first[0].token, [one.token_id for one in first[0].top]) == (b"a", [97, 98, 99])


@pytest.mark.parametrize("prompt", [[255, 254], [104, 105, EOS]])
def test_any_token_ids_are_a_prompt(prompt: list[int]) -> None:
    """Ids within the vocabulary never end the engine, valid UTF-8 or not."""
    _, deltas = generate(spec(), prompt)
    assert deltas[-1].finish_reason == "stop"


def test_load_error_and_wrong_knobs_fail_the_load() -> None:
    """The text is the error's; a knob of the wrong type is named."""
    with pytest.raises(ModelLoadFailed, match="out of luck"):
        generate(spec(load_error="out of luck"), "x")
    with pytest.raises(TypeError, match="token_delay_s"):
        generate(spec(token_delay_s="slow"), "x")


def test_it_says_what_it_takes() -> None:
    """What its knob says, or nothing."""

    async def taken(**knobs: int) -> int | None:
        engine = create()
        loaded = await engine.load(spec(**knobs))
        await engine.unload()
        return loaded.memory_bytes

    assert asyncio.run(taken(measured_bytes=70)) == 70
    assert asyncio.run(taken()) is None
