"""How the fake engine sees: an image is the hash of its bytes."""

from __future__ import annotations

from hashlib import sha256

from tricorn.chat.template import ChatTemplate
from tricorn.engines.request import ChatPrompt, RenderedChat


def render(chat: ChatPrompt, template: str) -> RenderedChat:
    """The prompt with `<image HASH>`, of eight digits, where an image stands."""
    names = iter([f"<image {sha256(image.data).hexdigest()[:8]}>" for image in chat.images])
    messages = [
        message
        if not isinstance(message["content"], list)
        else message
        | {
            "content": " ".join(
                next(names) if part["type"] == "image" else part["text"]
                for part in message["content"]
            )
        }
        for message in chat.messages
    ]
    text = ChatTemplate(template).render(
        messages,
        add_generation_prompt=chat.add_generation_prompt,
        continue_final_message=chat.continue_final_message,
    )
    return RenderedChat(list(text.encode()))
