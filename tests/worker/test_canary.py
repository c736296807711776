"""One token over a worker's data socket, as the worker itself asks for it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from tests.worker.bench import Bench, bench

from tricorn.engines.spec import EngineCapabilities
from tricorn.errors import EngineGenerateError, EngineLost, ModelLoadFailed
from tricorn.worker import canary

GENERATES = EngineCapabilities()
EMBEDS = EngineCapabilities(generate=False, embed=True)
SCORES = EngineCapabilities(generate=False, score=True)


def sung(folder: Path, can: EngineCapabilities, **engine_args: Any) -> tuple[str, Bench]:
    async def scenario() -> tuple[str, Bench]:
        async with asyncio.timeout(30), bench(f"unix:{folder / 's'}", **engine_args) as made:
            return await canary.sing(made.address, "s", can), made

    return asyncio.run(scenario())


@pytest.mark.parametrize(
    ("can", "engine_args", "answer"),
    [
        (GENERATES, {"answer": "yes"}, "a token ('y')"),
        (EMBEDS, {"pooling": "embed"}, "a vector"),
        (SCORES, {"pooling": "score"}, "a score"),
    ],
)
def test_it_asks_for_what_the_model_makes(
    tmp_path: Path, can: EngineCapabilities, engine_args: dict[str, Any], answer: str
) -> None:
    """And waits until the engine is done with it."""
    found, made = sung(tmp_path, can, **engine_args)
    assert found == answer
    assert made.engine.stats().pending == 0
    assert made.engine.stats().steps > 0


def test_no_more_than_a_token_is_generated(tmp_path: Path) -> None:
    """However long the answer would be."""
    _, made = sung(tmp_path, GENERATES, answer="yes", endless=True)
    assert made.engine.stats().generated_tokens == 1


def test_the_engines_reason_is_told(tmp_path: Path) -> None:
    """Of one that was just loaded, with what it means."""

    async def scenario() -> None:
        async with bench(f"unix:{tmp_path / 's'}", generate_error="no kernel image") as made:
            with pytest.raises(EngineGenerateError, match="no kernel image"):
                await canary.sing(made.address, "s", GENERATES)
            with pytest.raises(
                ModelLoadFailed,
                match="brought into memory, but could not generate a token: no kernel image",
            ):
                await canary.prove(made.address, "s", GENERATES)

    asyncio.run(scenario())


def test_no_answer_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a time of its own; one that pools is told as such."""
    monkeypatch.setattr(canary, "TIMEOUT_S", 0.1)

    async def scenario() -> None:
        address = f"unix:{tmp_path / 's'}"
        async with bench(address, token_delay_s=60, pooling="embed") as made:
            with pytest.raises(
                ModelLoadFailed, match=r"could not make a vector: .* no answer within 0\.1 s"
            ):
                await canary.prove(made.address, "s", EMBEDS)
            made.engine._core._clock.set()  # type: ignore[attr-defined]

    asyncio.run(scenario())


def test_nobody_listens(tmp_path: Path) -> None:
    """Nothing else than an engine's error comes out of it."""
    with pytest.raises(EngineLost, match="data socket"):
        asyncio.run(canary.sing(f"unix:{tmp_path / 'none'}", "s", GENERATES))
