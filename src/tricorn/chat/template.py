"""A model's chat template, rendered as transformers renders it.

The same jinja2 environment (immutable sandbox, trim_blocks, lstrip_blocks, loop controls), the same
`tojson`, `raise_exception` and `strftime_now`, the same meaning of add_generation_prompt and
continue_final_message. A template comes with a model file and is untrusted: hence the sandbox, in
which it also has an end (`sandbox`, `template_budget`).
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from datetime import datetime
from typing import Any, NoReturn

from jinja2 import Template, TemplateError, meta

from tricorn.chat import sandbox_filters
from tricorn.chat.sandbox import Sandbox
from tricorn.chat.template_budget import Budget, TooExpensive
from tricorn.errors import InvalidRequest, UnsupportedParameter

MAX_SOURCE = 512 * 1024
"""Characters of a template; the longest that models come with have 50,000."""


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


_OWN = {"messages", "tools", "documents", "add_generation_prompt", "bos_token", "eos_token"}
"""Variables that every template is given."""


_NO_TEMPLATE = (TemplateError, SyntaxError, ValueError, OverflowError, RecursionError, MemoryError)
"""What jinja2's parser and Python's compiler raise; the last ones for what is nested deeply."""


def _environment() -> Sandbox:
    environment = Sandbox()
    sandbox_filters.add(environment, "tojson", _tojson)
    environment.globals["raise_exception"] = _raise_exception
    environment.globals["strftime_now"] = _strftime_now
    return environment


def variables(source: str) -> set[str]:
    """Names that a template reads beside those that every template is given. None of one that
    cannot be parsed."""
    if len(source) > MAX_SOURCE:
        return set()
    environment = _environment()
    try:
        read = meta.find_undeclared_variables(environment.parse(source))
    except _NO_TEMPLATE:
        return set()
    return read - _OWN - set(environment.globals)


def _compiled(source: str) -> Template | str:
    """The template, or why it is none."""
    if len(source) > MAX_SOURCE:
        return f"it is longer than {MAX_SOURCE} characters"
    try:
        return _environment().from_string(source)
    except _NO_TEMPLATE as error:
        return str(error)


def _called(messages: list[dict[str, Any]]) -> bool:
    return any(m.get("tool_calls") or m.get("role") == "tool" for m in messages)


class ChatTemplate:
    """Compiled once a model. InvalidRequest (param `messages`) where it does not accept a chat.

    for_tools: another template, of chats in which tools are offered or were called. budget: made
    for each rendering.
    """

    def __init__(
        self,
        source: str | None,
        *,
        bos_token: str = "",
        eos_token: str = "",
        for_tools: str | None = None,
        budget: Callable[[], Budget] = Budget,
    ) -> None:
        self._budget = budget
        self._rendering = threading.Lock()
        self._special = {"bos_token": bos_token, "eos_token": eos_token}
        self._plain = None if source is None else _compiled(source)
        self._for_tools = self._plain if for_tools is None else _compiled(for_tools)

    @property
    def usable(self) -> bool:
        return isinstance(self._plain, Template)

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
        template = self._for_tools if tools or _called(messages) else self._plain
        if not isinstance(template, Template):
            raise UnsupportedParameter(
                f"this model's chat template cannot be used: {template}"
                if template
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
            text = self._written(template, variables)
        except TooExpensive as error:
            raise InvalidRequest(
                f"the model's chat template was stopped at these messages: {error}",
                param="messages",
            ) from error
        except TemplateError as error:
            raise InvalidRequest(
                f"the model's chat template refused these messages: {error}", param="messages"
            ) from error
        except Exception as error:  # whatever it is: the template's doing, and nobody else's
            raise InvalidRequest(
                f"the model's chat template failed on these messages: {error}", param="messages"
            ) from error
        return _cut_after_final_message(text, messages) if continue_final_message else text

    def _written(self, template: Template, variables: dict[str, Any]) -> str:
        sandbox = template.environment
        assert isinstance(sandbox, Sandbox)
        with self._rendering:
            sandbox.budget = self._budget()
            return template.render(variables)


def _cut_after_final_message(text: str, messages: list[dict[str, Any]]) -> str:
    final = str(messages[-1].get("content") or "").strip()
    at = text.rindex(final) if final and final in text else -1
    if at < 0:
        raise InvalidRequest(
            "continue_final_message needs a last message whose text the template keeps",
            param="continue_final_message",
        )
    return text[: at + len(final)]
