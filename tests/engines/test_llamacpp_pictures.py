"""Images in llama.cpp's prompts: placeholders, chunks, templates and mmproj files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.engines.llamacpp_steps import NoMemory

from tricorn.chat.template import ChatTemplate
from tricorn.engines.llamacpp import mmproj
from tricorn.engines.llamacpp.chats import Chats
from tricorn.engines.llamacpp.kv import KvCache
from tricorn.engines.llamacpp.pictures import (
    Picture,
    Prompt,
    alike,
    identity,
    picture_at,
    placeholders,
)
from tricorn.engines.llamacpp.scheduler import Chunk, Scheduler
from tricorn.engines.llamacpp.scheduler import Sequence as Running
from tricorn.engines.request import ChatPrompt, GenerateRequest, Image, SamplingParams
from tricorn.errors import InvalidRequest, ModelLoadFailed

ONE, TWO = identity(b"one"), identity(b"two")


def picture(start: int, count: int, **more: Any) -> Picture:
    return Picture(start, np.zeros((count, 2), dtype=np.float32), **more)


def test_placeholders_tell_images_positions_and_parts_apart() -> None:
    """The same for the same bytes, and never a token of the model."""
    mine = placeholders(ONE, 0, 600)
    assert mine == placeholders(ONE, 0, 600)
    assert mine[:5] == placeholders(ONE, 0, 5)
    others = {*placeholders(TWO, 0, 600), *placeholders(ONE, 1, 600)}
    assert len({*mine, *others}) == 1800
    assert max(mine) < 0
    assert min(*mine, *placeholders(b"\xff" * 5, 255, 1 << 14)) >= -(2**63)


def test_what_can_be_computed_together() -> None:
    """Up to the next border between text and picture; a picture at once is never cut."""
    pictures = (picture(5, 4), picture(9, 3), picture(20, 6, at_once=True))
    assert alike((), 3, 100) == 100
    assert alike(pictures, 0, 100) == 5
    assert alike(pictures, 0, 2) == 2
    assert alike(pictures, 5, 100) == 4
    assert alike(pictures, 7, 100) == 2
    assert alike(pictures, 9, 2) == 2
    assert alike(pictures, 12, 100) == 8
    assert alike(pictures, 20, 2) == 6
    assert alike(pictures, 26, 7) == 7
    assert [picture_at(pictures, at) for at in (4, 8, 9, 12)] == [None, *pictures[:2], None]


def plan(scheduler: Scheduler) -> list[tuple[int, int, bool]]:
    """(start, count, is a picture) of the next step's chunks, which then count as computed."""
    chunks: list[Chunk] = scheduler.plan()
    for chunk in chunks:
        tokens = chunk.sequence.tokens[chunk.start : chunk.start + chunk.count]
        scheduler.kv.computed(chunk.slot, tokens)
    return [(chunk.start, chunk.count, chunk.picture is not None) for chunk in chunks]


def seeing(tokens: list[int], *pictures: Picture) -> Running:
    request = GenerateRequest("r", tokens, SamplingParams())
    return Running(request, 0, list(tokens), pictures=pictures)


def test_chunks_end_at_pictures() -> None:
    """Text, picture, text: each by itself, within the budget."""
    kv = KvCache(64, 2, NoMemory(), parked_bytes=0, shares_prefixes=True)
    scheduler = Scheduler(kv, max_running=2, max_tokens=8, max_scored=8, prefill_budget=8)
    tokens = [1, 2, 3, *placeholders(ONE, 0, 10), 4, 5]
    scheduler.add(seeing(tokens, picture(3, 10)))
    steps = [plan(scheduler) for _ in range(4)]
    assert steps == [[(0, 3, False)], [(3, 8, True)], [(11, 2, True)], [(13, 2, False)]]


def test_the_same_picture_is_shared_and_another_is_not() -> None:
    """The prefix cache goes by placeholders."""
    kv = KvCache(64, 3, NoMemory(), parked_bytes=0, shares_prefixes=True)
    scheduler = Scheduler(kv, max_running=3, max_tokens=64, max_scored=8, prefill_budget=64)
    first, same, other = (
        seeing([1, 2, *placeholders(image, 0, 20), 3, 4], picture(2, 20))
        for image in (ONE, ONE, TWO)
    )
    scheduler.add(first)
    while first.pending:
        plan(scheduler)
    scheduler.end(first)
    for sequence in (same, other):
        scheduler.add(sequence)
    scheduler.plan()
    assert (same.cached_tokens, other.cached_tokens) == (23, 2)


# --- templates ----------------------------------------------------------------------------------


class FakeEye:
    marker = "<marker>"

    def read(self, text: str, images: Sequence[Image]) -> Prompt:
        """Characters as tokens, three positions an image."""
        tokens: list[int] = []
        pictures: list[Picture] = []
        first, *others = text.split(self.marker)
        tokens += map(ord, first)
        for part, _image in zip(others, images, strict=True):
            pictures.append(picture(len(tokens), 3))
            tokens += [-1, -2, -3, *map(ord, part)]
        return Prompt(tokens, tuple(pictures))


STRINGS = "{% for m in messages %}{{ m.content + '|' }}{% endfor %}"
PARTS = (
    "{% for m in messages %}{% for part in m.content if part.type == 'text' %}"
    "{{ part.text }}{% endfor %}|{% endfor %}"
)
CHAT = ChatPrompt(
    [
        {"role": "system", "content": "ab"},
        {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "c"}]},
    ],
    images=[Image(b"", "here")],
)


def chats(template: str, bos: Sequence[int] = ()) -> Chats:
    return Chats(ChatTemplate(template), FakeEye(), lambda text: [*map(ord, text)], bos)


def readable(tokens: Sequence[int]) -> str:
    return "".join(chr(token) if token >= 0 else "#" for token in tokens)


@pytest.mark.parametrize(("template", "expected"), [(STRINGS, "ab|###\nc|"), (PARTS, "ab|###c|")])
def test_templates_take_strings_or_parts(template: str, expected: str) -> None:
    """Images stand where they belong in both, and a plain chat loses nothing."""
    rendered = chats(template).render(CHAT)
    assert readable(rendered.token_ids) == expected
    assert [p.start for p in rendered.prompt] == [3]
    plain = chats(template).render(ChatPrompt([{"role": "user", "content": "hi"}]))
    assert readable(plain.token_ids) == "hi|"


def test_bos_moves_pictures() -> None:
    """One is put before where the template writes none."""
    rendered = chats(STRINGS, [ord("^")]).render(CHAT)
    assert readable(rendered.token_ids) == "^ab|###\nc|"
    assert [p.start for p in rendered.prompt] == [4]
    assert readable(chats("^" + STRINGS, [ord("^")]).render(CHAT).token_ids)[:2] == "^a"


@pytest.mark.parametrize(
    ("template", "param", "why"),
    [
        ("{{ messages[0].content }}", "here", "does not keep the images"),
        ("{{ messages[-1].content }}{{ messages[-1].content }}", "here", "does not keep"),
        ("{{ messages[-1].content.split('\n')[0] }}", "messages", "ends with an image"),
    ],
)
def test_templates_that_do_not_fit(template: str, param: str, why: str) -> None:
    """Are a refusal, not a wrong prompt."""
    with pytest.raises(InvalidRequest, match=why) as caught:
        chats(template).render(CHAT)
    assert caught.value.param == param


# --- files --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "names", "found"),
    [
        ("a.gguf", [], []),
        ("a.gguf", ["mmproj-model-f16.gguf"], ["mmproj-model-f16.gguf"]),
        ("a.gguf", ["mmproj-b.gguf", "b.gguf"], []),
        ("b.Q4_K_M.gguf", ["mmproj-b-f16.gguf", "a.gguf", "mmproj-a.gguf"], ["mmproj-b-f16.gguf"]),
        ("b-Q8_0.gguf", ["mmproj-B-BF16.gguf", "a.gguf"], ["mmproj-B-BF16.gguf"]),
        ("b-IQ2_XS.gguf", ["b-mmproj-Q8_0.gguf", "a.gguf"], ["b-mmproj-Q8_0.gguf"]),
        ("b-Q4_0.gguf", ["mmproj-x.gguf", "b-Q8_0.gguf"], ["mmproj-x.gguf"]),
        (
            "b-q4_0-00001-of-00002.gguf",
            ["b-q4_0-00002-of-00002.gguf", "mmproj-b.gguf", "c.gguf"],
            ["mmproj-b.gguf"],
        ),
        ("a.gguf", ["mmproj-1.gguf", "mmproj-2.gguf"], ["mmproj-1.gguf", "mmproj-2.gguf"]),
    ],
)
def test_the_eye_beside_a_model(model: str, names: list[str], found: list[str]) -> None:
    """By name, whatever the precision; or the only one in a folder of one model."""
    assert mmproj.choose(model, [model, *names]) == found


def test_the_eye_that_is_named(tmp_path: Path) -> None:
    """A path, or none; several are a question."""
    model = tmp_path / "a.gguf"
    for name in ("a.gguf", "mmproj-1.gguf"):
        (tmp_path / name).touch()
    assert mmproj.find(model, None) == tmp_path / "mmproj-1.gguf"
    assert mmproj.find(model, "") is None
    assert mmproj.find(model, "mmproj-1.gguf") == tmp_path / "mmproj-1.gguf"
    with pytest.raises(ModelLoadFailed, match="no file"):
        mmproj.find(model, "mmproj-9.gguf")
    (tmp_path / "mmproj-2.gguf").touch()
    with pytest.raises(ModelLoadFailed, match=r"several.*mmproj-1.gguf, mmproj-2.gguf"):
        mmproj.find(model, None)
