"""Images in messages: which parts are taken, and how they reach the engine."""

from __future__ import annotations

from typing import Any

import pytest
from tests.images import data_url, part, png

from tricorn.engines.request import Image
from tricorn.errors import InvalidRequest, RequestError, UnsupportedParameter
from tricorn.schemas.chat import ChatRequest

TEXT = {"type": "text", "text": "What is this?"}


def parse(content: Any, **message: Any) -> ChatRequest:
    messages = [
        {"role": "system", "content": "Look"},
        {"role": "user", "content": content, **message},
    ]
    return ChatRequest.parse({"model": "m", "messages": messages})[0]


def test_texts_and_images_keep_their_order() -> None:
    """The template gets parts; where an image belongs is told by its path."""
    one, two = data_url(png(1)), "https://example.com/2.png"
    request = parse([part(one), TEXT, part(two, detail="high"), part(one, detail=None)])
    where = "messages[1].content[{}].image_url.url"
    assert request.image_urls() == [
        (where.format(0), one),
        (where.format(2), two),
        (where.format(3), one),
    ]
    image = Image(b"x", "p")
    prompt = request.prompt([image] * 3)
    assert prompt.messages[1] == {
        "role": "user",
        "content": [{"type": "image"}, TEXT, {"type": "image"}, {"type": "image"}],
    }
    assert prompt.images == [image] * 3


def test_parts_of_text_alone_are_a_text() -> None:
    """Nothing changes for them."""
    request = parse([TEXT, TEXT])
    assert request.image_urls() == []
    assert request.prompt().messages[1]["content"] == "What is this?\nWhat is this?"
    assert request.prompt().images == []


@pytest.mark.parametrize(
    ("bad", "path"),
    [
        ({"type": "image_url"}, "image_url"),
        ({"type": "image_url", "image_url": "https://example.com/a.png"}, "image_url"),
        (part(""), "image_url.url"),
        (part("ftp://example.com/a.png"), "image_url.url"),
        (part("iVBORw0KGgo="), "image_url.url"),
        ({"type": "image_url", "image_url": {"url": 5}}, "image_url.url"),
        ({"type": "image_url", "image_url": {}}, "image_url.url"),
        (part(png(), detail="best"), "image_url.detail"),
        (part(png(), detail=1), "image_url.detail"),
    ],
)
def test_what_is_wrong_is_named(bad: dict[str, Any], path: str) -> None:
    """Down to the field of the part."""
    with pytest.raises(InvalidRequest) as caught:
        parse([TEXT, bad])
    assert caught.value.param == f"messages[1].content[1].{path}"


def test_a_bad_text_beside_an_image() -> None:
    """Is found as it is without."""
    with pytest.raises(InvalidRequest) as caught:
        parse([part(png()), {"type": "text", "text": 5}])
    assert caught.value.param == "messages[1].content[1]"


@pytest.mark.parametrize("role", ["system", "developer", "assistant", "tool"])
def test_images_of_others_are_refused(role: str) -> None:
    """OpenAI takes them in the user's messages only."""
    message = {"role": role, "content": [TEXT, part(png())], "tool_call_id": "c"}
    with pytest.raises(RequestError, match="messages of the user") as caught:
        ChatRequest.parse({"model": "m", "messages": [message]})
    assert isinstance(caught.value, UnsupportedParameter)
    assert caught.value.param == "messages[0].content[1]"
