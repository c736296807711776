"""Models that see, for real, through the whole server: vLLM with a tiny random one, and llama.cpp
with a tiny random eye for SmolLM2."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
import yaml
from openai.types.chat import ChatCompletion
from tests.conformance import hf_model, vision_model
from tests.conformance.engines import ENGINES, GGUF
from tests.e2e.server import MODEL, Server, running
from tests.engines.llamacpp_real import tiny_mmproj
from tests.images import data_url, part, png

ENGINE = ENGINES["vllm"]
NAME = "tiny-vision"
CONTEXT = 512
START_S = 400.0
SMOLLM2_WIDTH = 576
QUESTION = {"type": "text", "text": "What is this?"}

pytestmark = pytest.mark.timeout(500)


@pytest.fixture(scope="module")
def seeing() -> Iterator[Server]:
    if reason := ENGINE.missing():
        pytest.skip(reason)
    folder = hf_model.cache_folder() / f"tiny-vision-{vision_model.VERSION}"
    if not folder.is_dir():
        vision_model.make(GGUF, folder)
    entry = {
        "path": str(folder),
        "engine": "vllm",
        "context_length": CONTEXT,
        "max_num_seqs": 4,
        "engine_args": {"dtype": "float32", "enforce_eager": True},
    }
    with running(
        config=yaml.safe_dump({"models": {NAME: entry}}),
        default_model=NAME,
        start_s=START_S,
        load_timeout_s=START_S,
    ) as server:
        yield server


def ask(server: Server, *content: Any, **more: Any) -> ChatCompletion:
    """A greedy answer of six tokens, with their probabilities."""
    answer: ChatCompletion = server.client.chat.completions.create(
        model=server.model,
        messages=[{"role": "user", "content": list(content)}],
        temperature=0,
        max_tokens=6,
        logprobs=True,
        extra_body={"ignore_eos": True},
        **more,
    )
    return answer


def heard(answer: ChatCompletion) -> list[tuple[str, float]]:
    logprobs = answer.choices[0].logprobs
    assert logprobs is not None
    assert logprobs.content is not None
    return [(token.token, round(token.logprob, 3)) for token in logprobs.content]


def counted(answer: ChatCompletion) -> int:
    assert answer.usage is not None
    return answer.usage.prompt_tokens


def cached(answer: ChatCompletion) -> int:
    assert answer.usage is not None
    details = answer.usage.prompt_tokens_details
    return (details and details.cached_tokens) or 0


def test_what_is_seen_decides(seeing: Server) -> None:
    """The same image gives the same answer, another one another, and none another again."""
    first = heard(ask(seeing, part(png(1)), QUESTION))
    assert heard(ask(seeing, part(png(1)), QUESTION)) == first
    assert heard(ask(seeing, part(png(2)), QUESTION)) != first
    assert heard(ask(seeing, QUESTION)) != first


def test_order_and_number(seeing: Server) -> None:
    """Two images are two, in the order in which they come, and where they stand in the text."""
    one, two = part(png(1)), part(png(2))
    contents = [(one, two, QUESTION), (two, one, QUESTION), (one, QUESTION, two), (one, QUESTION)]
    answers = [heard(ask(seeing, *content)) for content in contents]
    assert all(answers.count(answer) == 1 for answer in answers)


def test_usage_counts_images(seeing: Server) -> None:
    """Each with the tokens that it takes in the prompt."""
    plain = counted(ask(seeing, QUESTION))
    for number in (1, 3):
        images = [part(png(number))] * number
        seen = counted(ask(seeing, *images, QUESTION))
        assert seen - plain == number * vision_model.PROMPT_TOKENS


def test_streaming(seeing: Server) -> None:
    """The same text as whole, and the same usage."""
    whole = ask(seeing, part(png(4)), QUESTION)
    stream: Any = ask(
        seeing, part(png(4)), QUESTION, stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == whole.choices[0].message.content
    assert counted(chunks[-1]) == counted(whole)


def test_the_prefix_cache_tells_images_apart(seeing: Server) -> None:
    """A long text after another image is computed anew; after the same one it is found."""
    long = {"type": "text", "text": "One two three four five. " * 50}
    first = ask(seeing, part(png(5)), long)
    other = ask(seeing, part(png(6)), long)
    again = ask(seeing, part(png(5)), long)
    assert (cached(first), cached(other)) == (0, 0)
    assert cached(again) > vision_model.PROMPT_TOKENS
    assert heard(again) == heard(first) != heard(other)


def test_too_much_is_told_with_counts(seeing: Server) -> None:
    """Images count towards the context."""
    text = {"type": "text", "text": "One two three four five. " * 60}
    tokens = counted(ask(seeing, text)) + 12 * vision_model.PROMPT_TOKENS
    assert tokens > CONTEXT
    with pytest.raises(
        openai.BadRequestError, match=rf"{CONTEXT} tokens.*{tokens} tokens"
    ) as error:
        ask(seeing, *[part(png(1))] * 12, text)
    assert error.value.code == "context_length_exceeded"
    # What was refused has left nothing behind.
    assert counted(ask(seeing, part(png(1)), text)) == tokens - 11 * vision_model.PROMPT_TOKENS


def test_what_cannot_be_decoded_is_named(seeing: Server) -> None:
    """A header that promises an image does not make one."""
    broken = data_url(png(1)[:80])
    with pytest.raises(openai.BadRequestError, match="cannot be decoded") as caught:
        ask(seeing, QUESTION, part(png(1)), part(broken))
    assert caught.value.param == "messages[0].content[2].image_url.url"


def test_chats_of_text_and_completions_go_on(seeing: Server) -> None:
    """A system message, an answer in between, several choices, and a prompt without a chat."""
    answer = seeing.client.chat.completions.create(
        model=NAME,
        messages=[
            {"role": "system", "content": "Look"},
            {"role": "user", "content": [part(png(1)), QUESTION]},  # type: ignore[list-item]
            {"role": "assistant", "content": "A river."},
            {"role": "user", "content": "And now?"},
        ],
        max_tokens=2,
        n=2,
    )
    assert len(answer.choices) == 2
    text = seeing.client.completions.create(model=NAME, prompt="One two", max_tokens=2)
    assert text.usage is not None
    assert text.usage.prompt_tokens == 2


def test_llamacpp_sees(tmp_path: Path) -> None:
    """With an mmproj file beside the model; without one, the part is named."""
    eye = tiny_mmproj.make(tmp_path / "mmproj.gguf", width=SMOLLM2_WIDTH)
    entry = {"context_length": 512, "engine_args": {"mmproj": str(eye)}}
    with running(config=yaml.safe_dump({"models": {MODEL: entry}})) as server:
        answers = [ask(server, part(png(seed)), QUESTION) for seed in (1, 2, 1)]
        first, other, again = map(heard, answers)
        assert first != other
        assert again[0][0] == first[0][0]
        seen = counted(answers[0]) - counted(ask(server, QUESTION))
        assert seen == pytest.approx(tiny_mmproj.TOKENS, abs=2)
        with pytest.raises(openai.BadRequestError, match="cannot be decoded") as caught:
            ask(server, QUESTION, part(data_url(png(1)[:80])))
        assert caught.value.param == "messages[0].content[1].image_url.url"
