"""SmolLM2 in float32 with a tiny eye. Run by `test_llamacpp_real.py`."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.conformance.engines import ENGINES
from tests.engines.llamacpp_real import tiny_mmproj
from tests.images import png

from tricorn.engines.llamacpp.engine import LlamaCppCore
from tricorn.engines.request import ChatPrompt, GenerateRequest, Image, SamplingParams
from tricorn.engines.spec import EngineOptions, ModelSpec
from tricorn.engines.stepped import SteppedEngine
from tricorn.errors import InvalidRequest, ModelLoadFailed

NAME = "model.gguf"
WIDTH = 576
QUESTION = {"type": "text", "text": "What is this?"}
IMAGE = {"type": "image"}
NOISE = 0.01
"""Of a log probability, between steps of different sizes."""


def spec(folder: Path, **engine_args: Any) -> ModelSpec:
    arguments = {"n_batch": 256, "flash_attn": "off", "type_k": "f32", "type_v": "f32"}
    return ModelSpec(
        "m", str(folder / NAME), "gguf", "llamacpp", "a test", 0, 0,
        EngineOptions(
            context_length=1024, max_num_seqs=4, threads=1, engine_args=arguments | engine_args
        ),
    )  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("model")
    engine = ENGINES["llamacpp"]
    assert engine.exact is not None
    exact = engine.exact(engine)
    try:
        (made / NAME).symlink_to(exact)
    except OSError:
        shutil.copy(exact, made / NAME)
    tiny_mmproj.make(made / "mmproj-f32.gguf", width=WIDTH)
    return made


@pytest.fixture(scope="module")
def core(folder: Path) -> Iterator[LlamaCppCore]:
    opened = LlamaCppCore()
    model = opened.open(spec(folder))
    assert model.capabilities.vision
    assert model.details["mmproj"] == "mmproj-f32.gguf"
    yield opened
    opened.close()


def request(core: LlamaCppCore, name: str, *content: Any, **sampling: Any) -> GenerateRequest:
    """content: texts as parts, images as their bytes."""
    images = [Image(part, f"image {at}") for at, part in enumerate(content) if part != QUESTION]
    images = [image for image in images if isinstance(image.data, bytes)]
    parts: Any = [IMAGE if isinstance(part, bytes) else part for part in content]
    if not images:
        parts = "\n".join(part["text"] for part in content)
    chat = core.render_chat(ChatPrompt([{"role": "user", "content": parts}], images=images))
    params = SamplingParams(**{"temperature": 0, "max_tokens": 6, "logprobs": 1} | sampling)
    return GenerateRequest(name, chat.token_ids, params, rendered=chat.prompt)


def run(core: LlamaCppCore, *requests: GenerateRequest) -> dict[tuple[str, int], Any]:
    """(request, index) → (token ids, logprobs, cached tokens), all of them together."""
    for one in requests:
        core.submit(one)
    found: dict[tuple[str, int], Any] = {}
    while core.busy():
        for name, delta in core.step():
            ids, logprobs, cached = found.get((name, delta.index), ([], [], delta.cached_tokens))
            ids = [*ids, *delta.token_ids]
            logprobs = [*logprobs, *(round(entry.logprob, 3) for entry in delta.logprobs or [])]
            found[name, delta.index] = ids, logprobs, cached
    return found


def heard(core: LlamaCppCore, *content: Any) -> Any:
    """What is answered, and how surely."""
    return run(core, request(core, "r", *content))["r", 0][:2]


def alike(one: Any, other: Any) -> bool:
    return one[0] == other[0] and one[1] == pytest.approx(other[1], abs=NOISE)


def test_what_is_seen_decides(core: LlamaCppCore) -> None:
    """The same image, the same answer; another one, another; order and place matter."""
    one, two = png(1), png(2)
    contents = [
        (one, QUESTION), (two, QUESTION), (QUESTION, one), (QUESTION,),
        (one, two, QUESTION), (one, one, QUESTION), (two, one, QUESTION),
    ]  # fmt: skip
    answers = [heard(core, *content) for content in contents]
    again = [heard(core, *content) for content in contents]
    for row, answer in enumerate(answers):
        assert [alike(answer, other) for other in again] == [row == n for n in range(len(again))]


def test_every_position_is_counted(core: LlamaCppCore) -> None:
    """An image takes its embeddings' number of positions, and they are no tokens of the model."""
    plain = request(core, "p", {"type": "text", "text": ""}, QUESTION).prompt_token_ids
    seen = request(core, "s", png(1), QUESTION).prompt_token_ids
    assert len(seen) - len(plain) == pytest.approx(tiny_mmproj.TOKENS, abs=1)
    assert sum(token < 0 for token in seen) == tiny_mmproj.TOKENS


def test_the_prefix_cache_tells_images_apart(core: LlamaCppCore) -> None:
    """The same image is not computed again, another one is never taken for it."""
    long = {"type": "text", "text": "One two three four five six. " * 12}
    first, other, again = (
        run(core, asked)["r", 0]
        for asked in (request(core, "r", png(seed), long) for seed in (11, 12, 11))
    )
    [picture] = request(core, "r", png(11), long).rendered
    assert alike(again, first)
    assert not alike(other, first)
    assert other[2] == picture.start
    assert again[2] > picture.end


def test_images_and_texts_in_one_batch(core: LlamaCppCore) -> None:
    """Requests that run together give what each gives alone; n answers share an image."""
    contents = {
        "a": (png(1), QUESTION),
        "b": (QUESTION,),
        "c": (png(2), QUESTION, png(3), QUESTION),
    }
    alone = {name: run(core, request(core, name, *parts)) for name, parts in contents.items()}
    together = run(core, *(request(core, name, *parts) for name, parts in contents.items()))
    for name, answers in alone.items():
        assert together[name, 0][0] == answers[name, 0][0]
    several = run(core, request(core, "n", png(1), QUESTION, n=3))
    assert [several["n", index][0] for index in range(3)] == [alone["a"]["a", 0][0]] * 3


def test_a_picture_in_small_steps(folder: Path, core: LlamaCppCore) -> None:
    """Cut into chunks that are smaller than an image, the answer is the same."""
    small = LlamaCppCore()
    small.open(spec(folder, n_batch=8, n_ubatch=8))
    try:
        cut = heard(small, png(4), QUESTION, png(5), QUESTION)
    finally:
        small.close()
    assert alike(cut, heard(core, png(4), QUESTION, png(5), QUESTION))


def test_a_picture_that_is_read_at_once(folder: Path, tmp_path: Path) -> None:
    """Gemma's kind goes whole into one step, whatever the budget; text after it is causal again."""
    eye = tiny_mmproj.make(tmp_path / "gemma.gguf", width=WIDTH, at_once=True)
    core = LlamaCppCore()
    core.open(spec(folder, mmproj=str(eye), n_batch=32, n_ubatch=32))
    try:
        asked = request(core, "r", QUESTION, png(1), QUESTION)
        [picture] = asked.rendered
        assert picture.at_once
        answers = [heard(core, QUESTION, png(seed), QUESTION) for seed in (1, 2, 1)]
        assert alike(answers[0], answers[2])
        assert not alike(answers[0], answers[1])
        text = heard(core, QUESTION)
    finally:
        core.close()
    small = LlamaCppCore()
    small.open(spec(folder, mmproj=str(eye), n_batch=8, n_ubatch=8))
    try:
        assert alike(heard(small, QUESTION), text)
        with pytest.raises(InvalidRequest, match=r"takes 16 tokens.*8 are possible") as caught:
            request(small, "r", png(1), QUESTION)
        assert caught.value.param == "image 0"
    finally:
        small.close()


def test_penalties_leave_images_out(core: LlamaCppCore) -> None:
    """Placeholders are nothing to penalise."""
    answer = run(core, request(core, "r", png(1), QUESTION, repetition_penalty=1.3))
    assert len(answer["r", 0][0]) == 6


@pytest.mark.parametrize(
    ("data", "why"),
    [(png(1)[:80], "cannot be decoded"), (b"RIFF\0\0\0\0WEBPVP8X" + bytes(20), "not WebP")],
)
def test_what_cannot_be_decoded_is_named(core: LlamaCppCore, data: bytes, why: str) -> None:
    """Broken ones, and types that llama.cpp does not read."""
    with pytest.raises(InvalidRequest, match=why) as caught:
        request(core, "r", QUESTION, data)
    assert caught.value.param == "image 1"


def test_an_abort_in_the_middle(core: LlamaCppCore) -> None:
    """What an image has filled is free again, and the next request is right."""
    expected = heard(core, png(1), QUESTION)[0]
    core.submit(request(core, "gone", png(21), QUESTION))
    core.step()
    core.abort("gone")
    assert not core.busy()
    assert heard(core, png(1), QUESTION)[0] == expected


def test_text_alone_goes_on(core: LlamaCppCore) -> None:
    """A chat without images is rendered as ever."""
    chat = core.render_chat(ChatPrompt([{"role": "user", "content": "Hi"}]))
    assert core.detokenize(chat.token_ids).decode().endswith("assistant\n")
    assert not chat.prompt


def test_through_asyncio(folder: Path) -> None:
    """The engine's own way: rendered off the event loop, generated, unloaded."""

    async def go() -> list[int]:
        engine = SteppedEngine(LlamaCppCore())
        await engine.load(spec(folder))
        try:
            chat = ChatPrompt([{"role": "user", "content": [IMAGE]}], images=[Image(png(1))])
            rendered = await engine.render_chat(chat)
            sampling = SamplingParams(temperature=0, max_tokens=3)
            wanted = GenerateRequest("r", rendered.token_ids, sampling, rendered=rendered.prompt)
            return [token async for delta in engine.generate(wanted) for token in delta.token_ids]
        finally:
            await engine.unload()

    assert len(asyncio.run(go())) == 3


def test_an_eye_that_does_not_fit(folder: Path, tmp_path: Path) -> None:
    """Is refused at load with the way out; without it the model takes no images."""
    tiny_mmproj.make(tmp_path / "other.gguf", width=WIDTH + 64)
    wrong = LlamaCppCore()
    with pytest.raises(ModelLoadFailed, match=r"other.gguf does not fit.*mmproj: ''"):
        wrong.open(spec(folder, mmproj=str(tmp_path / "other.gguf")))
    blind = LlamaCppCore()
    assert not blind.open(spec(folder, mmproj="")).capabilities.vision
    blind.close()
