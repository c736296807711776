"""Chats of a model that sees: template, markers where images belong, then the eye."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from tricorn.chat.template import ChatTemplate
from tricorn.engines.llamacpp.pictures import Prompt
from tricorn.engines.request import ChatPrompt, Image, RenderedChat
from tricorn.errors import InvalidRequest, RequestError

Form = Callable[[dict[str, Any]], dict[str, Any]]


class Reader(Protocol):
    """What of an `Eye` is needed."""

    marker: str

    def read(self, text: str, images: Sequence[Image]) -> Prompt: ...


class Chats:
    """tokenize: control tokens read as such; bos: what has to stand before every prompt."""

    def __init__(
        self,
        template: ChatTemplate,
        eye: Reader,
        tokenize: Callable[[str], list[int]],
        bos: Sequence[int],
    ) -> None:
        self._template = template
        self._eye = eye
        self._tokenize = tokenize
        self._bos = list(bos)
        self._form = self._joined if self._keeps(self._joined) else self._apart

    def render(self, chat: ChatPrompt) -> RenderedChat:
        """As `InferenceEngine.render_chat`; its `prompt` are the pictures."""
        text = self._text(chat, [self._form(message) for message in chat.messages])
        if not chat.images:
            prompt = Prompt(self._tokenize(text))
        elif text.count(self._eye.marker) == len(chat.images):
            prompt = self._eye.read(text, chat.images)
        else:
            raise InvalidRequest(
                "the model's chat template does not keep the images in these messages",
                param=chat.images[0].param,
            )
        tokens, pictures = prompt.tokens, prompt.pictures
        if tokens and tokens[-1] < 0:
            raise InvalidRequest(
                "the prompt ends with an image: nothing could be sampled after it",
                param="messages",
            )
        if tokens[: len(self._bos)] != self._bos:
            tokens = self._bos + tokens
            pictures = tuple(picture.moved(len(self._bos)) for picture in pictures)
        return RenderedChat(tokens, pictures)

    def _keeps(self, form: Form) -> bool:
        """Whether the template takes a content in that form. Most take a string; some want parts,
        and write nothing where there is a string."""
        probe = {"role": "user", "content": [{"type": "image"}]}
        try:
            return self._eye.marker in self._text(ChatPrompt([]), [form(probe)])
        except RequestError:
            return False

    def _text(self, chat: ChatPrompt, messages: list[dict[str, Any]]) -> str:
        return self._template.render(
            messages,
            tools=chat.tools,
            add_generation_prompt=chat.add_generation_prompt,
            continue_final_message=chat.continue_final_message,
            template_kwargs=chat.template_kwargs,
        )

    def _joined(self, message: dict[str, Any]) -> dict[str, Any]:
        content = message["content"]
        if not isinstance(content, list):
            return message
        return message | {"content": "\n".join(map(self._words, content))}

    def _apart(self, message: dict[str, Any]) -> dict[str, Any]:
        content = message["content"]
        if isinstance(content, list):
            words = list(map(self._words, content))
        elif isinstance(content, str):
            words = [content]
        else:
            return message
        return message | {"content": [{"type": "text", "text": text} for text in words]}

    def _words(self, part: dict[str, str]) -> str:
        return self._eye.marker if part["type"] == "image" else part["text"]
