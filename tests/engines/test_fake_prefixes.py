"""What the fake engine remembers of ended sequences."""

from __future__ import annotations

import asyncio

from tricorn.engines.fake import create
from tricorn.engines.fake_prefixes import EndedPrompts
from tricorn.engines.request import GenerateRequest, SamplingParams
from tricorn.engines.spec import EngineOptions, ModelSpec


def found(options: EngineOptions, *prompts: list[int]) -> list[int]:
    """What is found of each prompt, once all have been added."""
    ended = EndedPrompts(options, used=True)
    for prompt in prompts:
        ended.add(prompt)
    return [ended.shared([*prompt, 9]) for prompt in prompts]


def test_what_ended_is_found_again() -> None:
    """The last token of a prompt is always computed."""
    assert found(EngineOptions(), [1, 2, 3]) == [3]
    ended = EndedPrompts(EngineOptions(), used=True)
    ended.add([1, 2, 3])
    assert (ended.shared([1, 2, 3]), ended.shared([1, 2, 5, 6]), ended.shared([7])) == (2, 2, 0)


def test_caching_can_be_off_and_bounded() -> None:
    """ENABLE_CACHING and CACHE_SIZE; without the knob nothing is found at all."""
    assert found(EngineOptions(prefix_cache=False), [1, 2, 3]) == [0]
    assert found(EngineOptions(cache_size=1), [1, 2], [3, 4]) == [0, 2]
    ended = EndedPrompts(EngineOptions(), used=False)
    ended.add([1, 2])
    assert (ended.shared([1, 2, 3]), ended.details) == (0, {})


def test_the_engine_tells_what_was_cached() -> None:
    """In the first delta of the second request, and in its details that it caches."""

    async def cached(options: EngineOptions) -> tuple[int | None, object]:
        engine = create()
        spec = ModelSpec("m", "", "fake", "fake", "a test", 0, 0, options)
        model = await engine.load(spec)
        seen = []
        for number in range(2):
            request = GenerateRequest(f"r{number}", list(b"hello"), SamplingParams(max_tokens=1))
            seen += [delta async for delta in engine.generate(request)]
        await engine.unload()
        return seen[-1].cached_tokens, model.details.get("prefix_caching")

    knob = {"prefixes": True}
    assert asyncio.run(cached(EngineOptions(engine_args=knob))) == (4, True)
    off = EngineOptions(engine_args=knob, prefix_cache=False)
    assert asyncio.run(cached(off)) == (0, False)
