"""OpenAI's SDK where something goes wrong: its error classes, time limits, abandoned streams."""

from __future__ import annotations

from typing import Any

import openai
import pytest
from tests import images
from tests.e2e.server import MODEL, Server
from tests.polling import wait_until

FRANCE: Any = [{"role": "user", "content": "Name the capital of France."}]


def test_bad_requests(client: openai.OpenAI) -> None:
    """BadRequestError has what code reads: status, param, code, and the request's id."""
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model=MODEL, messages=FRANCE, temperature=3)
    error = caught.value
    assert (error.status_code, error.param) == (400, "temperature")
    assert error.type == "invalid_request_error"
    assert error.code is None or isinstance(error.code, str)
    assert error.request_id
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(
            model=MODEL,
            messages=[{"role": "wizard", "content": "?"}],  # type: ignore[list-item]
        )
    assert caught.value.param == "messages[0].role"


def test_not_found(client: openai.OpenAI) -> None:
    """NotFoundError for a model and for a path, also before a stream begins."""
    for stream in (False, True):
        with pytest.raises(openai.NotFoundError) as caught:
            client.chat.completions.create(model="gpt-9", messages=FRANCE, stream=stream)
        assert (caught.value.code, caught.value.param) == ("model_not_found", "model")
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("gpt-9")
    with pytest.raises(openai.NotFoundError):
        client.audio.speech.create(model=MODEL, voice="alloy", input="Hello!")


def test_an_image_for_a_model_that_is_blind(client: openai.OpenAI) -> None:
    """400 that names the part."""
    content: Any = [
        {"type": "text", "text": "What is in this image?"},
        images.part(images.png()),
    ]
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": content}])
    assert caught.value.param == "messages[0].content[1].image_url.url"


def test_vectors_of_a_chat_model(client: openai.OpenAI) -> None:
    """400 for the model, not an answer of numbers that mean nothing."""
    with pytest.raises(openai.BadRequestError) as caught:
        client.embeddings.create(model=MODEL, input="The river runs.")
    assert caught.value.param == "model"


def test_a_time_limit(served: Server) -> None:
    """A client that gives up gets its error, and the next one is served."""
    hasty = served.sdk(timeout=0.2)
    with pytest.raises(openai.APITimeoutError):
        hasty.chat.completions.create(
            model=MODEL, messages=FRANCE, max_tokens=2000, extra_body={"ignore_eos": True}
        )
    answer = served.client.chat.completions.create(model=MODEL, messages=FRANCE, max_tokens=1)
    assert answer.choices[0].finish_reason == "length"


def test_an_abandoned_stream(client: openai.OpenAI, served: Server) -> None:
    """Closing a stream ends the engine's work on it."""
    stream = client.chat.completions.create(
        model=MODEL, messages=FRANCE, max_tokens=2000, stream=True, extra_body={"ignore_eos": True}
    )
    next(iter(stream))
    stream.close()
    with served.figures() as figures:
        wait_until(lambda: figures().running == 0)
