"""A chat in the words of the model that is loaded: tools, thoughts, and what its answer must be.

The gateway sends chats as OpenAI has them. Only here, where the template is, is known how this
model is told of tools, how it calls them, and whether its prompt ends inside a thought.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from typing import Any

import msgspec

from tricorn.chat import reasoning
from tricorn.chat.pieces import Reading
from tricorn.chat.tools import call_ids, emulation, grammar
from tricorn.chat.tools.formats import EMULATED, FORMATS
from tricorn.engines.base import InferenceEngine
from tricorn.engines.request import ChatPrompt, SamplingParams, ThoughtLimit
from tricorn.engines.spec import LoadedModel
from tricorn.errors import InvalidRequest, UnsupportedParameter


class Dialogue:
    """Stateless after construction."""

    def __init__(self, engine: InferenceEngine, model: LoadedModel) -> None:
        self._engine = engine
        self._dialect = model.dialect
        self._can_limit = model.capabilities.thinking_budget
        self._constraints = model.capabilities.constraints
        self._format = FORMATS[model.dialect.tools]
        self._emulated = model.dialect.tools == EMULATED
        self._tool_tokens = _tokens(engine, self._format.markers)
        self._thought_tokens = _tokens(engine, reasoning.markers(model.dialect.reasoning))
        if model.dialect.reasoning == reasoning.HARMONY:
            self._thought_tokens = _tokens(engine, FORMATS["harmony"].markers)

    # --- the prompt ----------------------------------------------------------------------------

    def adapted(self, chat: ChatPrompt) -> ChatPrompt:
        """The chat as this model's template takes it."""
        if self._emulated:
            return self._emulate(chat)
        messages = call_ids.adapted(chat.messages, self._format)
        messages = [self._message(number, message) for number, message in enumerate(messages)]
        return msgspec.structs.replace(chat, messages=messages)

    def _emulate(self, chat: ChatPrompt) -> ChatPrompt:
        spoken = any(m.get("tool_calls") or m.get("role") == "tool" for m in chat.messages)
        if not chat.tools and not spoken:
            return chat
        system = ""
        if chat.tools:
            system = emulation.described(
                chat.tools, required=chat.rules.required, parallel=chat.rules.parallel
            )
        messages = emulation.plain_messages(
            chat.messages, system, system_role=self._dialect.system_role
        )
        return msgspec.structs.replace(chat, messages=messages, tools=None)

    def _message(self, number: int, message: dict[str, Any]) -> dict[str, Any]:
        calls = message.get("tool_calls")
        if not calls:
            return message
        spoken = []
        for position, call in enumerate(calls):
            function = call["function"]
            if self._dialect.arguments_as_object:
                where = f"messages[{number}].tool_calls[{position}].function.arguments"
                function = {**function, "arguments": _object(function["arguments"], where)}
            spoken.append({**call, "function": function})
        content = message.get("content") or ("" if self._dialect.empty_content else None)
        message = {**message, "content": content, "tool_calls": spoken}
        if self._dialect.reasoning == reasoning.HARMONY and not message.get("content"):
            # Its template's name for what was thought before a call.
            message["thinking"] = message.get("reasoning_content")
        if self._dialect.tools == "cohere":
            message["tool_plan"] = message.get("reasoning_content") or ""
        return message

    # --- the answer ----------------------------------------------------------------------------

    def reading(self, chat: ChatPrompt, prompt_end: str) -> Reading | None:
        """How an answer to `chat` is to be read. prompt_end: the end of the prompt's text."""
        tools = self._dialect.tools if chat.tools else ""
        thoughts = self._dialect.reasoning
        thinking = reasoning.state(thoughts, prompt_end)
        if chat.continue_final_message or (thinking is None and not reasoning.wraps(thoughts)):
            # It is in the middle of its answer, or has thought already.
            thoughts = thoughts if thoughts == reasoning.HARMONY else ""
        if not tools and not thoughts:
            return None
        return Reading(tools, thoughts, bool(thinking and thoughts))

    def sampling(
        self, chat: ChatPrompt, reading: Reading | None, sampling: SamplingParams
    ) -> SamplingParams:
        """`sampling` with what holds the answer to tools, schemas and thoughts.

        InvalidRequest or UnsupportedParameter where that cannot be done.
        """
        if reading is None:
            return sampling
        if _is_grammar(sampling):
            _check_grammar(chat, reading, sampling)
        tokens = self._thought_tokens if reading.reasoning else {}
        if reading.tools:
            tokens = tokens | self._tool_tokens
        functions = [tool["function"] for tool in chat.tools or ()]
        only = chat.rules.only
        callable_ = [f for f in functions if only is None or f["name"] in only]
        held = sampling.constraint is not None or self._must_hold(chat, callable_)
        constraint = sampling.constraint
        if held and not self._constraints and chat.tools:
            raise UnsupportedParameter(
                f"'{chat.rules.param}' asks for calls that are held to a form, which the engine "
                "that serves this model cannot do.",
                param=chat.rules.param,
            )
        if held or (self._emulated and chat.tools and self._constraints):
            constraint = grammar.constraint(
                self._format if chat.tools else None,
                callable_,
                chat.rules,
                sampling.constraint,
                reasoning=reading.reasoning,
                thinking=reading.thinking,
                tokens=tokens,
            )
        return msgspec.structs.replace(
            sampling,
            constraint=constraint,
            shown_tokens=tuple(tokens.values()),
            thought=reasoning.marks(reading.reasoning, thinking=reading.thinking),
            thought_limit=self._thought_limit(chat, reading, sampling.thinking_budget),
            calls=self._format.marks(f["name"] for f in functions) if reading.tools else None,
        )

    def _thought_limit(
        self, chat: ChatPrompt, reading: Reading, budget: int | None
    ) -> ThoughtLimit | None:
        if budget is None or not reading.reasoning:
            return None
        if not self._can_limit:
            raise UnsupportedParameter(
                "'thinking_budget' is not supported: the engine that serves this model cannot end "
                "its thoughts.",
                param="thinking_budget",
            )
        calls = bool(chat.tools) and reading.tools == reasoning.HARMONY
        return reasoning.limit(
            reading.reasoning,
            budget,
            partial(self._engine.tokenize, add_special=False, parse_special=True),
            thinking=reading.thinking,
            calls=calls,
            required=calls and chat.rules.required,
        )

    def _must_hold(self, chat: ChatPrompt, functions: list[Mapping[str, Any]]) -> bool:
        """The request asks for more than that calls are recognised."""
        rules = chat.rules
        if not functions:
            return False
        strict = any(function.get("strict") for function in functions)
        several = self._format.parallel and not rules.parallel
        return rules.required or rules.only is not None or strict or several


def _is_grammar(sampling: SamplingParams) -> bool:
    return sampling.constraint is not None and sampling.constraint.kind == "grammar"


def _check_grammar(chat: ChatPrompt, reading: Reading, sampling: SamplingParams) -> None:
    """A grammar of the request's own is of the whole text, and can be no part of another one."""
    reason = ""
    if chat.tools:
        reason = "it cannot be combined with tools"
    elif reading.thinking or reading.reasoning == reasoning.HARMONY:
        reason = "this model thinks before it answers, which no grammar allows"
    if reason:
        assert sampling.constraint is not None
        param = sampling.constraint.param
        raise InvalidRequest(f"Invalid value for '{param}': {reason}.", param=param)


def _tokens(engine: InferenceEngine, markers: tuple[str, ...]) -> dict[str, int]:
    """The ids of those markers that are one token."""
    ids = {
        marker: engine.tokenize(marker, add_special=False, parse_special=True) for marker in markers
    }
    return {marker: found[0] for marker, found in ids.items() if len(found) == 1}


def _object(arguments: str, where: str) -> dict[str, Any]:
    try:
        value = json.loads(arguments or "{}")
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise InvalidRequest(
            f"Invalid value for '{where}': this model's chat template takes the arguments as an "
            "object, and they are not the JSON text of one.",
            param=where,
        )
    return value
