"""Images in requests: what is taken, what is refused, and what the engine gets."""

from __future__ import annotations

import base64
from collections.abc import Callable
from hashlib import sha256
from typing import Any

import openai
import pytest
from flask import Flask
from tests.gateway.conftest import sdk_for
from tests.gateway.engines import FakeManager
from tests.images import data_url, part, png

from tricorn.engines.request import Image
from tricorn.errors import InvalidRequest, UnsupportedParameter
from tricorn.gateway.requests import images
from tricorn.settings.config import Settings

URL = "messages[1].content[0].image_url.url"


def name(image: bytes) -> str:
    """How the fake engine writes an image into its prompt."""
    return f"<image {sha256(image).hexdigest()[:8]}>"


def ask(client: openai.OpenAI, content: Any, model: str = "seeing", **more: Any) -> Any:
    messages = [{"role": "system", "content": "Look"}, {"role": "user", "content": content}]
    return client.chat.completions.create(model=model, messages=messages, **more)


def text(words: str) -> dict[str, str]:
    return {"type": "text", "text": words}


def test_images_reach_the_engine_in_their_places(sdk: openai.OpenAI) -> None:
    """Between the texts as they were sent; the prompt's tokens count them."""
    one, two = png(1), png(2)
    answer = ask(sdk, [part(one, detail="low"), text("and"), part(two), text("differ?")])
    seen = f"{name(one)} and {name(two)} differ?"
    assert answer.choices[0].message.content == seen
    assert answer.usage.prompt_tokens == len(f"system: Look\nuser: {seen}\nassistant: ")


def test_a_stream_sees_too(sdk: openai.OpenAI) -> None:
    """Streaming makes no difference."""
    chunks = list(ask(sdk, [part(png(3))], stream=True))
    pieces = [chunk.choices[0].delta.content or "" for chunk in chunks]
    assert "".join(pieces) == name(png(3))


def test_plain_chats_with_a_model_that_sees(sdk: openai.OpenAI) -> None:
    """Strings and parts of text go the same way."""
    assert ask(sdk, "Hello").choices[0].message.content == "Hello"
    assert ask(sdk, [text("Hello")]).choices[0].message.content == "Hello"


def test_a_model_without_vision_names_the_part(sdk: openai.OpenAI, manager: FakeManager) -> None:
    """400, and the lease is given back."""
    with pytest.raises(openai.BadRequestError, match="'echo' takes no images") as caught:
        ask(sdk, [part(png())], model="echo")
    assert caught.value.param == URL
    assert caught.value.code == "unsupported_parameter"
    assert manager.leased == 0


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("data:image/png;base64,####", "not valid base64"),
        ("data:image/png,abc", "must be of the form"),
        ("data:image/png;base64", "must be of the form"),
        (data_url(b"<svg/>"), "no PNG, JPEG, WebP or GIF"),
        (data_url(png()[:20]), "ends within its header"),
        ("ftp://host/image.png", "data: URL or an http"),
        ("https://example.com/image.png", "fetches no images"),
    ],
)
def test_what_is_no_image_is_named(sdk: openai.OpenAI, url: str, message: str) -> None:
    """Whatever is wrong with it: 400 with the part's path."""
    with pytest.raises(openai.BadRequestError, match=message) as caught:
        ask(sdk, [part(url)])
    assert caught.value.param == URL


def test_the_limits(make_app: Callable[..., Flask]) -> None:
    """Number, bytes and pixels; each refusal names the setting."""
    app = make_app(max_images=2, max_image_bytes=2000, max_image_pixels=600)
    with sdk_for(app) as client:
        ask(client, [part(png(1)), part(png(2))])
        for content, param, setting in (
            ([part(png())] * 3, "messages[1].content[2].image_url.url", "MAX_IMAGES"),
            ([part(png() + bytes(3000))], URL, "MAX_IMAGE_BYTES"),
            ([part(png(width=31, height=20))], URL, "MAX_IMAGE_PIXELS"),
        ):
            with pytest.raises(openai.BadRequestError, match=setting) as caught:
                ask(client, content)
            assert caught.value.param == param


def test_the_exact_size_is_allowed() -> None:
    """MAX_IMAGE_BYTES is what an image may have, however its base64 is padded."""
    for more in range(1100, 1104):
        image = png() + bytes(more)
        settings = Settings(max_image_bytes=len(image))
        assert images.load([("p", data_url(image))], settings) == [Image(image, "p")]
        with pytest.raises(InvalidRequest, match="MAX_IMAGE_BYTES"):
            images.load([("p", data_url(image + b"x"))], settings)


def test_all_images_together() -> None:
    """Many fetched images could be more than a request may bring; they may not."""
    image = png() + bytes(1000)
    with pytest.raises(InvalidRequest, match="MAX_BODY_BYTES") as caught:
        images.load([("a", data_url(image)), ("b", data_url(image))], Settings(max_body_bytes=1500))
    assert caught.value.param == "b"


def test_wrapped_base64() -> None:
    """Line ends within the data are no fault."""
    wrapped = base64.encodebytes(png(width=120, height=90)).decode()
    assert wrapped.count("\n") > 1
    [image] = images.load([("p", f"DATA:image/png;BASE64,{wrapped}")], Settings())
    assert image.data == png(width=120, height=90)


def test_fetching_is_off() -> None:
    """Unless it is asked for, and the refusal says how."""
    with pytest.raises(UnsupportedParameter, match="FETCH_IMAGES") as caught:
        images.load([("p", "http://example.com/a.png")], Settings())
    assert caught.value.param == "p"
