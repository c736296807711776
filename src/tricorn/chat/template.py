"""A model's chat template, rendered as transformers renders it.

The same jinja2 environment (immutable sandbox, trim_blocks, lstrip_blocks, loop controls), the same
`tojson`, `raise_exception` and `strftime_now`, the same meaning of add_generation_prompt and
continue_final_message. A template comes with a model file and is untrusted: hence the sandbox.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, NoReturn

from jinja2 import TemplateError, TemplateSyntaxError
from jinja2.ext import Extension, loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

from tricorn.errors import InvalidRequest, UnsupportedParameter


def _raise_exception(message: str) -> NoReturn:
    raise TemplateError(message)


def _tojson(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    # jinja2's own filter escapes for HTML, which would change the prompt.
    return json.dumps(
        value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys
    )


def _strftime_now(pattern: str) -> str:
    return datetime.now().strftime(pattern)


class _Generation(Extension):
    """`{% generation %}` marks the assistant's turn for training; for serving it is its content."""

    tags = {"generation"}

    def parse(self, parser: Any) -> Any:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


class ChatTemplate:
    """Compiled once a model. InvalidRequest (param `messages`) where it does not accept a chat."""

    def __init__(self, source: str | None, *, bos_token: str = "", eos_token: str = "") -> None:
        self._special = {"bos_token": bos_token, "eos_token": eos_token}
        self._template = None
        self._broken: str | None = None
        if source is None:
            return
        environment = ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, loopcontrols]
        )
        environment.filters["tojson"] = _tojson
        environment.globals["raise_exception"] = _raise_exception
        environment.globals["strftime_now"] = _strftime_now
        try:
            self._template = environment.from_string(source)
        except TemplateSyntaxError as error:
            self._broken = str(error)

    def render(
        self,
        messages: list[dict[str, Any]],
        *,
        tools: list[dict[str, Any]] | None = None,
        add_generation_prompt: bool = True,
        continue_final_message: bool = False,
        template_kwargs: dict[str, Any] | None = None,
    ) -> str:
        """The prompt's text.

        continue_final_message: leave the last message open, for the model to go on with it.
        template_kwargs: further variables of the template (enable_thinking and the like).
        """
        if self._template is None:
            raise UnsupportedParameter(
                f"this model's chat template cannot be used: {self._broken}"
                if self._broken
                else "this model has no chat template; use /v1/completions",
                param="messages",
            )
        variables = {
            **self._special,
            **(template_kwargs or {}),
            "messages": messages,
            "tools": tools,
            "documents": None,
            "add_generation_prompt": add_generation_prompt and not continue_final_message,
        }
        try:
            text = self._template.render(variables)
        except TemplateError as error:
            raise InvalidRequest(
                f"the model's chat template refused these messages: {error}", param="messages"
            ) from error
        except (
            TypeError,
            ValueError,
            LookupError,
            AttributeError,
            ArithmeticError,
            RecursionError,
        ) as error:
            raise InvalidRequest(
                f"the model's chat template failed on these messages: {error}", param="messages"
            ) from error
        return _cut_after_final_message(text, messages) if continue_final_message else text


def _cut_after_final_message(text: str, messages: list[dict[str, Any]]) -> str:
    final = str(messages[-1].get("content") or "").strip()
    at = text.rindex(final) if final and final in text else -1
    if at < 0:
        raise InvalidRequest(
            "continue_final_message needs a last message whose text the template keeps",
            param="continue_final_message",
        )
    return text[: at + len(final)]
