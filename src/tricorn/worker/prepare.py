"""From what the gateway sent to what an engine takes: template, tokens, length check."""

from __future__ import annotations

from tricorn.chat.template import ChatTemplate
from tricorn.engines.base import GenerateRequest, InferenceEngine, LoadedModel
from tricorn.errors import ContextLengthExceeded, InvalidRequest
from tricorn.worker.protocol import ChatPrompt, Start, TextPrompt, TokenPrompt


class Preparer:
    """Stateless after construction; used from a thread, so that long prompts block no stream."""

    def __init__(self, engine: InferenceEngine, model: LoadedModel) -> None:
        self._engine = engine
        self._model = model
        self._template = ChatTemplate(
            model.chat_template, bos_token=model.bos_token, eos_token=model.eos_token
        )
        self._bos = (
            engine.tokenize(model.bos_token, add_special=False, parse_special=True)
            if model.adds_bos and model.bos_token
            else []
        )

    def prepare(self, start: Start, engine_request_id: str) -> GenerateRequest:
        """RequestError where the prompt cannot be rendered, tokenised or does not fit."""
        ids = self._token_ids(start)
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
        return GenerateRequest(
            engine_request_id,
            ids,
            start.sampling,
            adapter=start.adapter,
            priority=start.priority,
            prompt_logprobs=start.prompt_logprobs,
        )

    def prompt_text(self, request: GenerateRequest) -> str:
        return self._engine.detokenize(request.prompt_token_ids).decode("utf-8", "replace")

    def _token_ids(self, start: Start) -> list[int]:
        match start.prompt:
            case TokenPrompt(token_ids):
                for position, token in enumerate(token_ids):
                    if not 0 <= token < self._model.vocab_size:
                        raise InvalidRequest(
                            f"prompt[{position}] is {token}, but this model's tokens go from 0 to "
                            f"{self._model.vocab_size - 1}",
                            param="prompt",
                        )
                return token_ids
            case TextPrompt(text):
                return self._engine.tokenize(text, add_special=True, parse_special=True)
            case ChatPrompt() as chat:
                text = self._template.render(
                    chat.messages,
                    tools=chat.tools,
                    add_generation_prompt=chat.add_generation_prompt,
                    continue_final_message=chat.continue_final_message,
                    template_kwargs=chat.template_kwargs,
                )
                ids = self._engine.tokenize(text, add_special=False, parse_special=True)
                # Many GGUF templates leave BOS to the tokenizer although the model needs it.
                return ids if ids[: len(self._bos)] == self._bos else self._bos + ids


def _param(start: Start) -> str:
    return "messages" if isinstance(start.prompt, ChatPrompt) else "prompt"
