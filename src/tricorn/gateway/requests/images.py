"""The images of a chat: out of data URLs or from the web, checked before anything decodes them."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence

from tricorn.chat.image_facts import image_facts
from tricorn.engines.request import Image
from tricorn.errors import InvalidRequest, UnsupportedParameter
from tricorn.gateway.requests.fetch import Fetch, FetchError, fetch_all
from tricorn.settings.config import Settings


def load(urls: Sequence[tuple[str, str]], settings: Settings) -> list[Image]:
    """The images behind (path in the request, URL), in this order.

    RequestError with the path as `param`: too many of them, too large ones, what is no image, what
    cannot be fetched or may not be.
    """
    if len(urls) > settings.max_images:
        raise InvalidRequest(
            f"This server takes at most {settings.max_images} images in a request (MAX_IMAGES), "
            f"got {len(urls)}.",
            param=urls[settings.max_images][0],
        )
    found: dict[str, bytes] = {}
    remote: list[tuple[str, Fetch]] = []
    for param, url in urls:
        if url[:5].lower() == "data:":
            found[param] = _decode(param, url, settings)
        elif settings.fetch_images:
            remote.append((param, Fetch(url, settings.max_image_bytes)))
        else:
            raise UnsupportedParameter(
                "This server fetches no images from the web (FETCH_IMAGES); send the image itself "
                "as a data: URL.",
                param=param,
            )
    fetch_all([fetch for _, fetch in remote], settings.image_fetch_timeout_s)
    for param, fetch in remote:
        try:
            found[param] = fetch.result()
        except FetchError as error:
            raise InvalidRequest(f"The image cannot be fetched: {error}.", param=param) from error
    images = [Image(found[param], param) for param, _ in urls]
    _check(images, settings)
    return images


def _decode(param: str, url: str, settings: Settings) -> bytes:
    head, comma, body = url.partition(",")
    if not comma or not head.lower().endswith(";base64"):
        raise _invalid(param, "a data: URL must be of the form data:image/png;base64,…")
    body = "".join(body.split())  # some clients wrap the lines
    # Its size shows before it is decoded.
    if len(body) // 4 * 3 - 2 > settings.max_image_bytes:
        raise _too_large(param, settings)
    try:
        return base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError) as error:
        raise _invalid(param, "its data is not valid base64") from error


def _check(images: Sequence[Image], settings: Settings) -> None:
    total = 0
    for image in images:
        total += len(image.data)
        if len(image.data) > settings.max_image_bytes:
            raise _too_large(image.param, settings)
        if total > settings.max_body_bytes:
            raise InvalidRequest(
                f"The images of this request are together larger than {settings.max_body_bytes} "
                "bytes (MAX_BODY_BYTES).",
                param=image.param,
            )
        try:
            facts = image_facts(image.data)
        except ValueError as error:
            raise _invalid(image.param, str(error)) from error
        if facts.pixels > settings.max_image_pixels:
            raise InvalidRequest(
                f"The image has {facts.width} x {facts.height} pixels; this server takes at most "
                f"{settings.max_image_pixels} in an image (MAX_IMAGE_PIXELS).",
                param=image.param,
            )


def _invalid(param: str, why: str) -> InvalidRequest:
    return InvalidRequest(f"Invalid value for '{param}': {why}.", param=param)


def _too_large(param: str, settings: Settings) -> InvalidRequest:
    return InvalidRequest(
        f"The image is larger than {settings.max_image_bytes} bytes (MAX_IMAGE_BYTES).",
        param=param,
    )
