"""Content of the Responses API's items: text, and images of the user's messages."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator
from pydantic_core import PydanticCustomError

from tricorn.schemas.fields import bad_value, inside, unsupported, wrong_type
from tricorn.schemas.images import DETAILS, ImageUrl

_TEXTS = {
    "input_text": "text",
    "output_text": "text",
    "reasoning_text": "text",
    "summary_text": "text",
    "refusal": "refusal",
}
"""A part's type → its field that has the text."""
_FOREIGN = {"input_file", "input_audio", "computer_screenshot"}

Parts = list[str | ImageUrl]


class TextPart(BaseModel):
    type: Literal["input_text", "output_text", "reasoning_text", "summary_text"]
    text: str


class RefusalPart(BaseModel):
    type: Literal["refusal"]
    refusal: str


class ImagePart(BaseModel):
    type: Literal["input_image"]
    image_url: str
    detail: Literal["auto", "low", "high", "original"] | None = None


def _parts(value: object) -> Parts:
    """A string or content parts; texts as strings."""
    if isinstance(value, str):
        return [value]
    if not isinstance(value, list):
        raise wrong_type("a string or an array of content parts", value)
    read: Parts = []
    for position, part in enumerate(value):
        try:
            read.append(_part(part))
        except PydanticCustomError as error:
            raise inside(error, position) from error
    return read


def _texts(value: object) -> Parts:
    """As `_parts`, where images have no place."""
    parts = _parts(value)
    for position, part in enumerate(parts):
        if isinstance(part, ImageUrl):
            text = "Images are only supported in messages of the user."
            raise inside(unsupported(text), position)
    return parts


def _part(part: object) -> str | ImageUrl:
    if not isinstance(part, dict):
        raise wrong_type("an object", part)
    kind = part.get("type")
    if kind == "input_image":
        return _image(part)
    if kind in _FOREIGN:
        raise unsupported(f"Content parts of type '{kind}' are not supported.")
    if not isinstance(kind, str) or kind not in _TEXTS:
        known = "input_text, input_image, output_text and refusal"
        raise inside(bad_value(f"unknown content part type {kind!r}; known are {known}"), "type")
    text = part.get(_TEXTS[kind])
    if not isinstance(text, str):
        raise inside(wrong_type("a string", text), _TEXTS[kind])
    return text


def _image(part: dict[str, Any]) -> ImageUrl:
    if part.get("file_id") is not None:
        text = "There are no uploaded files here; send the image as a data: URL in 'image_url'."
        raise inside(unsupported(text), "file_id")
    url, detail = part.get("image_url"), part.get("detail")
    if not isinstance(url, str):
        raise inside(wrong_type("a string", url), "image_url")
    if url[:8].lower().split(":")[0] not in ("data", "http", "https"):
        raise inside(bad_value("it must be a data: URL or an http(s) address"), "image_url")
    if detail is not None and detail not in DETAILS:
        raise inside(bad_value(f"{detail!r} is not one of {', '.join(DETAILS)}"), "detail")
    return ImageUrl(url)


Content = Annotated[
    Parts,
    BeforeValidator(_parts, json_schema_input_type=str | list[TextPart | RefusalPart | ImagePart]),
]
TextContent = Annotated[
    Parts, BeforeValidator(_texts, json_schema_input_type=str | list[TextPart | RefusalPart])
]


def text_of(parts: Parts) -> str:
    """Of parts that are all text."""
    return "\n".join(part for part in parts if isinstance(part, str))


def template_content(parts: Parts) -> str | list[dict[str, str]]:
    """As `ChatPrompt.messages` have it."""
    if not any(isinstance(part, ImageUrl) for part in parts):
        return text_of(parts)
    return [
        {"type": "text", "text": part} if isinstance(part, str) else {"type": "image"}
        for part in parts
    ]


def listed_input(parts: Parts) -> list[dict[str, Any]]:
    """As what came in is listed."""
    return [
        {"type": "input_text", "text": part}
        if isinstance(part, str)
        else {"type": "input_image", "image_url": part.url, "detail": "auto", "file_id": None}
        for part in parts
    ]


def listed_output(parts: Parts) -> list[dict[str, Any]]:
    """As what a model has said is listed."""
    return [
        {"type": "output_text", "text": part, "annotations": [], "logprobs": []}
        for part in parts
        if isinstance(part, str)
    ]
