"""Content parts of type `image_url`. Their addresses are read by `gateway/requests/images.py`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel
from pydantic_core import PydanticCustomError

from tricorn.schemas.fields import bad_value, inside, wrong_type

DETAILS = ("auto", "low", "high", "original")
"""A hint: a model's own processor decides how finely it looks."""


@dataclass(frozen=True)
class ImageUrl:
    """An image of a message, by its data URL or its address on the web."""

    url: str


class ImageAddress(BaseModel):
    url: str
    detail: Literal["auto", "low", "high", "original"] | None = None


class ImagePart(BaseModel):
    """What a client sends for one."""

    type: Literal["image_url"]
    image_url: ImageAddress


def is_image(part: object) -> bool:
    return isinstance(part, dict) and part.get("type") == "image_url"


def image_url(part: dict[str, object]) -> ImageUrl:
    """PydanticCustomError tells which field of the part is wrong."""
    image = part.get("image_url")
    if not isinstance(image, dict):
        raise inside(wrong_type("an object", image), "image_url")
    url, detail = image.get("url"), image.get("detail")
    if not isinstance(url, str):
        raise _in_image(wrong_type("a string", url), "url")
    if url[:8].lower().split(":")[0] not in ("data", "http", "https"):
        raise _in_image(bad_value("it must be a data: URL or an http(s) address"), "url")
    if detail is not None and detail not in DETAILS:
        raise _in_image(bad_value(f"{detail!r} is not one of {', '.join(DETAILS)}"), "detail")
    return ImageUrl(url)


def _in_image(error: PydanticCustomError, name: str) -> PydanticCustomError:
    return inside(inside(error, name), "image_url")
