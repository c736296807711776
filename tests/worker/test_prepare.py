"""From what the gateway sent to what an engine takes."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tricorn.engines.base import InferenceEngine
from tricorn.engines.fake import CHAT_TEMPLATE, create
from tricorn.engines.request import Image, SamplingParams
from tricorn.engines.spec import EngineCapabilities, FillTokens, LoadedModel
from tricorn.errors import ContextLengthExceeded, InvalidRequest, UnsupportedParameter
from tricorn.worker.prepare import Preparer
from tricorn.worker.protocol import ChatPrompt, FillPrompt, Prompt, Start, TextPrompt, TokenPrompt

CHAT = ChatPrompt([{"role": "user", "content": "hi"}])
TEXT = "user: hi\nassistant: "


def preparer(*, template: str | None = CHAT_TEMPLATE, **model: Any) -> Preparer:
    engine: InferenceEngine = create()
    facts = {"context_length": 32, "vocab_size": 257, "max_num_seqs": 1} | model
    facts = {"capabilities": EngineCapabilities()} | facts
    return Preparer(engine, LoadedModel(chat_template=template, **facts))


def ids(of: Preparer, prompt: Prompt) -> list[int]:
    return of.prepare(Start(1, "r", prompt, SamplingParams()), "1.1").prompt_token_ids


def test_a_chat_is_rendered_and_tokenised() -> None:
    """With the model's template; the request carries the engine's id."""
    request = preparer().prepare(Start(1, "r", CHAT, SamplingParams(max_tokens=3)), "7.1")
    assert bytes(request.prompt_token_ids).decode() == TEXT
    assert (request.request_id, request.sampling.max_tokens) == ("7.1", 3)


def test_bos_is_put_before_a_chat_that_has_none() -> None:
    """Where the model's tokenizer adds one and the template does not."""
    assert bytes(ids(preparer(bos_token="^", adds_bos=True), CHAT)).decode() == "^" + TEXT


def test_bos_is_not_doubled() -> None:
    """A template that writes it is left alone."""
    own = preparer(template="{{ bos_token }}x", bos_token="^", adds_bos=True)
    assert bytes(ids(own, CHAT)).decode() == "^x"


def test_no_bos_where_the_model_adds_none() -> None:
    """A BOS token alone is no wish for it."""
    assert bytes(ids(preparer(bos_token="^", adds_bos=False), CHAT)).decode() == TEXT


def test_token_ids_must_be_the_models() -> None:
    """The first bad one is named with its place and the range."""
    assert ids(preparer(), TokenPrompt([0, 256])) == [0, 256]
    for bad in (257, -1):
        with pytest.raises(InvalidRequest, match=rf"prompt\[1\] is {bad}.*0 to 256") as caught:
            ids(preparer(), TokenPrompt([0, bad]))
        assert caught.value.param == "prompt"


@pytest.mark.parametrize("before", ["ab", [97, 98]])
def test_a_gap_is_marked_by_the_models_tokens(before: str | list[int]) -> None:
    """BOS where the model wants one, prefix, suffix, middle."""
    fill = FillTokens(253, 254, 255)
    prompt = FillPrompt(before, "c")
    assert ids(preparer(fill_tokens=fill), prompt) == [253, 97, 98, 254, 99, 255]
    own = preparer(fill_tokens=fill, bos_token="^", adds_bos=True)
    assert ids(own, prompt) == [94, 253, 97, 98, 254, 99, 255]


def test_token_ids_before_a_gap_must_be_the_models() -> None:
    """As in any prompt."""
    with pytest.raises(InvalidRequest, match=r"prompt\[0\] is 257") as caught:
        ids(preparer(fill_tokens=FillTokens(253, 254, 255)), FillPrompt([257], "c"))
    assert caught.value.param == "prompt"


@pytest.mark.parametrize(
    ("prompt", "param"),
    [
        (TextPrompt("x" * 40), "prompt"),
        (TokenPrompt([1] * 40), "prompt"),
        (ChatPrompt([{"role": "user", "content": "x" * (40 - len(TEXT) + 2)}]), "messages"),
    ],
)
def test_a_prompt_that_is_too_long_is_told_with_both_counts(prompt: Prompt, param: str) -> None:
    """The limit and the prompt's length stand in the message, the field in param."""
    with pytest.raises(ContextLengthExceeded, match=r"32 tokens.*40 tokens") as caught:
        ids(preparer(), prompt)
    assert caught.value.param == param


def test_a_prompt_needs_room_for_one_token() -> None:
    """One less than the context fits, the whole context does not."""
    assert len(ids(preparer(), TokenPrompt([1] * 31))) == 31
    with pytest.raises(ContextLengthExceeded):
        ids(preparer(), TokenPrompt([1] * 32))


@pytest.mark.parametrize(("prompt", "param"), [(TextPrompt(""), "prompt"), (CHAT, "messages")])
def test_a_prompt_without_tokens_is_refused(prompt: Prompt, param: str) -> None:
    """There would be nothing to compute."""
    with pytest.raises(InvalidRequest, match="no tokens") as caught:
        ids(preparer(template="{# nothing #}"), prompt)
    assert caught.value.param == param


def test_a_template_without_end_does_not_get_to_an_engine_that_renders() -> None:
    """An engine's own sandbox sets no end; whatever else is wrong is for the engine to say."""
    start = Start(1, "r", CHAT, SamplingParams())
    facts: Any = {"capabilities": EngineCapabilities(vision=True)}
    with pytest.raises(InvalidRequest, match=r"was stopped"):
        asyncio.run(preparer(template="{{ 'a' * 10 ** 10 }}", **facts).render(start))
    assert asyncio.run(preparer(template="{{ raise_exception('no') }}", **facts).render(start))


def test_chats_of_a_model_that_sees_are_rendered_by_its_engine() -> None:
    """And only those; what comes of it is what is generated from, and counted."""
    image = Image(b"x", "messages[0].content[0].image_url.url")
    seen = ChatPrompt([{"role": "user", "content": [{"type": "image"}]}], images=[image])
    seeing = preparer(capabilities=EngineCapabilities(vision=True), context_length=64)
    start = Start(1, "r", seen, SamplingParams())
    rendered = asyncio.run(seeing.render(start))
    assert rendered is not None
    assert bytes(rendered.token_ids).decode().startswith("user: <image ")
    assert seeing.prepare(start, "1.1", rendered).prompt_token_ids == rendered.token_ids
    assert asyncio.run(seeing.render(Start(1, "r", TextPrompt("x"), SamplingParams()))) is None

    blind = preparer()
    assert asyncio.run(blind.render(Start(1, "r", CHAT, SamplingParams()))) is None
    with pytest.raises(UnsupportedParameter, match="no images") as caught:
        asyncio.run(blind.render(start))
    assert caught.value.param == image.param
