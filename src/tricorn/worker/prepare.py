"""From what the gateway sent to what an engine takes: template, tokens, length check."""

from __future__ import annotations

import asyncio

from tricorn.chat.pieces import Reading
from tricorn.chat.template import ChatTemplate
from tricorn.chat.template_budget import TooExpensive
from tricorn.engines.base import InferenceEngine
from tricorn.engines.request import GenerateRequest, RenderedChat, Waited
from tricorn.engines.spec import LoadedModel
from tricorn.errors import (
    ContextLengthExceeded,
    InvalidRequest,
    RequestError,
    UnsupportedParameter,
)
from tricorn.worker.dialogue import Dialogue
from tricorn.worker.protocol import (
    ChatPrompt,
    FillPrompt,
    Prompt,
    Start,
    TextPrompt,
    Tokenize,
    TokenPrompt,
)

PROMPT_END = 16
"""Tokens at a prompt's end that tell whether it ends inside a thought."""


class Preparer:
    """Stateless after construction; used from a thread, so that long prompts block no stream."""

    def __init__(self, engine: InferenceEngine, model: LoadedModel) -> None:
        self._engine = engine
        self._model = model
        self._template = ChatTemplate(
            model.chat_template,
            bos_token=model.bos_token,
            eos_token=model.eos_token,
            for_tools=model.tool_template,
        )
        self._dialogue = Dialogue(engine, model)
        self._bos = (
            engine.tokenize(model.bos_token, add_special=False, parse_special=True)
            if model.adds_bos and model.bos_token
            else []
        )

    @property
    def sees(self) -> bool:
        """All chats are rendered by the engine."""
        return self._model.capabilities.vision

    async def render(self, start: Start | Tokenize) -> RenderedChat | None:
        """The chat as the engine makes a prompt of it, where the model sees; else None.

        UnsupportedParameter where it does not and there are images.
        """
        if not isinstance(start.prompt, ChatPrompt):
            return None
        if not self.sees:
            if start.prompt.images:
                raise UnsupportedParameter(
                    "This model takes no images.", param=start.prompt.images[0].param
                )
            return None
        chat = self._dialogue.adapted(start.prompt)
        await asyncio.to_thread(self._check_template, chat)
        return await self._engine.render_chat(chat)

    def _check_template(self, chat: ChatPrompt) -> None:
        """InvalidRequest where the template has no end; an engine's own sandbox sets it none."""
        try:
            self._text(chat)
        except RequestError as error:
            # Whatever else is wrong, the engine says: it may have another template.
            if isinstance(error.__cause__, TooExpensive):
                raise

    def prepare(
        self, start: Start, engine_request_id: str, rendered: RenderedChat | None = None
    ) -> GenerateRequest:
        """RequestError where the prompt cannot be rendered, tokenised or does not fit.

        rendered: what `render` gave.
        """
        ids = rendered.token_ids if rendered else self.token_ids(start.prompt)
        limit = self._model.context_length
        if not ids:
            raise InvalidRequest("the prompt has no tokens", param=_param(start))
        if len(ids) >= limit:
            raise ContextLengthExceeded(
                f"This model's maximum context length is {limit} tokens, and the prompt has "
                f"{len(ids)} tokens, which leaves no room for an answer. "
                "Please shorten the prompt.",
                param=_param(start),
            )
        sampling = start.sampling
        if isinstance(start.prompt, ChatPrompt):
            sampling = self._dialogue.sampling(start.prompt, self.reading(start, ids), sampling)
        return GenerateRequest(
            engine_request_id,
            ids,
            sampling,
            adapter=start.adapter,
            priority=start.priority,
            prompt_logprobs=start.prompt_logprobs,
            rendered=rendered and rendered.prompt,
            trace=start.trace,
            waited=Waited() if start.trace is not None else None,
        )

    def reading(self, start: Start, prompt_token_ids: list[int]) -> Reading | None:
        """How the answer is to be read; None: its text is what it says."""
        if not isinstance(start.prompt, ChatPrompt):
            return None
        end = self._engine.detokenize(prompt_token_ids[-PROMPT_END:]).decode("utf-8", "replace")
        return self._dialogue.reading(start.prompt, end)

    def first_token(self, request: GenerateRequest) -> bytes:
        return self._engine.detokenize(request.prompt_token_ids[:1])

    def prompt_text(self, request: GenerateRequest) -> str:
        return self._engine.detokenize(request.prompt_token_ids).decode("utf-8", "replace")

    def token_ids(self, prompt: Prompt) -> list[int]:
        match prompt:
            case TokenPrompt(token_ids):
                return self.known(token_ids)
            case TextPrompt(text):
                return self._engine.tokenize(text, add_special=True, parse_special=True)
            case FillPrompt(before, after):
                return self._gap(before, after)
            case ChatPrompt() as chat:
                return self.chat_ids(self.chat_text(chat))

    def chat_text(self, chat: ChatPrompt) -> str:
        return self._text(self._dialogue.adapted(chat))

    def _text(self, chat: ChatPrompt) -> str:
        return self._template.render(
            chat.messages,
            tools=chat.tools,
            add_generation_prompt=chat.add_generation_prompt,
            continue_final_message=chat.continue_final_message,
            template_kwargs=chat.template_kwargs,
        )

    def chat_ids(self, text: str) -> list[int]:
        """The tokens of what `chat_text` gave."""
        ids = self._engine.tokenize(text, add_special=False, parse_special=True)
        # Many GGUF templates leave BOS to the tokenizer although the model needs it.
        return ids if ids[: len(self._bos)] == self._bos else self._bos + ids

    def known(self, token_ids: list[int], param: str = "prompt") -> list[int]:
        """InvalidRequest names the first one that this model does not have, as one of `param`'s."""
        for position, token in enumerate(token_ids):
            if not 0 <= token < self._model.vocab_size:
                raise InvalidRequest(
                    f"{param}[{position}] is {token}, but this model's tokens go from 0 to "
                    f"{self._model.vocab_size - 1}",
                    param=param,
                )
        return token_ids

    def _gap(self, before: str | list[int], after: str) -> list[int]:
        fill = self._model.fill_tokens
        assert fill is not None, "asked for only where the capability fill_in_middle is told"
        prefix = self._plain(before) if isinstance(before, str) else self.known(before)
        return [*self._bos, fill.prefix, *prefix, fill.suffix, *self._plain(after), fill.middle]

    def _plain(self, text: str) -> list[int]:
        # It is a part of a text that is to be completed: control tokens in it are just text.
        return self._engine.tokenize(text, add_special=False, parse_special=False)


def _param(start: Start) -> str:
    return "messages" if isinstance(start.prompt, ChatPrompt) else "prompt"
