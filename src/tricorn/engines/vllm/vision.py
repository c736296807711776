"""Chats of a model that sees, rendered by vLLM: it knows which tokens stand for an image, and how
many. Imports vllm, as `runtime` does."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Sequence
from typing import Any

from vllm.multimodal.media.image import ImageMediaIO
from vllm.renderers import ChatParams

from tricorn.engines.request import ChatPrompt, Image, RenderedChat
from tricorn.errors import InvalidRequest


def sees(renderer: Any) -> bool:
    """Whether this multimodal model takes images at all, and is let to."""
    return bool(renderer.get_mm_processor().info.allowed_mm_limits.get("image", 0) != 0)


async def render(renderer: Any, chat: ChatPrompt, own_template: str | None) -> RenderedChat:
    """own_template: in place of the model's.

    InvalidRequest names an image that cannot be decoded; ValueError is vLLM's own refusal.
    """
    settings = renderer.model_config.get_multimodal_config().media_io_kwargs.get("image", {})
    pictures = await asyncio.to_thread(_decode, chat.images, ImageMediaIO(**settings))
    params = ChatParams(
        chat_template=own_template,
        chat_template_kwargs=chat.template_kwargs
        | {
            "tools": chat.tools,
            "add_generation_prompt": chat.add_generation_prompt,
            "continue_final_message": chat.continue_final_message,
        },
    )
    # The length is checked by the worker, with images counted; the template writes BOS itself.
    lengths = dataclasses.replace(
        renderer.default_chat_tok_params, max_total_tokens=None, add_special_tokens=False
    )
    # vLLM's cache that sends an image only once to the engine process drifts from that process's
    # own when a rendered chat is never run; the other one only spares the work.
    _, [prompt] = await renderer.render_chat_async(
        [_messages(chat.messages, pictures)], params, lengths, skip_mm_cache=True
    )
    return RenderedChat(list(prompt["prompt_token_ids"]), prompt)


def _decode(images: Sequence[Image], reader: ImageMediaIO) -> list[Any]:
    pictures = []
    for image in images:
        try:
            pictures.append(reader.load_bytes(image.data))
        except Exception as error:  # decoders of broken files raise whatever comes
            raise InvalidRequest(
                f"Invalid value for '{image.param}': the image cannot be decoded: {error}.",
                param=image.param,
            ) from error
    return pictures


def _messages(messages: Sequence[dict[str, Any]], pictures: Sequence[Any]) -> list[dict[str, Any]]:
    """The messages in vLLM's form, each image part with its picture."""
    left = iter(pictures)
    return [
        message
        if not isinstance(message["content"], list)
        else message
        | {
            "content": [
                {"type": "image_pil", "image_pil": next(left)} if part["type"] == "image" else part
                for part in message["content"]
            ]
        }
        for message in messages
    ]
