"""`POST /v1/chat/completions`: the request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Self

import msgspec
from pydantic import BeforeValidator, Field, model_validator

from tricorn.engines.request import Image, SamplingParams
from tricorn.schemas.cells import ForTemplate, Needs, OfThoughts, OfTools, Within, Without
from tricorn.schemas.fields import Boolean, Integer, JsonObject, KeepAlive
from tricorn.schemas.messages import (
    FOREIGN_PARTS,
    AssistantMessage,
    Message,
    UserMessage,
    check_tool_messages,
)
from tricorn.schemas.parameters import CHAT, Rule
from tricorn.schemas.reasoning import (
    BUDGET_NAMES,
    SWITCHES,
    Budget,
    Effort,
    Verbosity,
    thinking_variables,
)
from tricorn.schemas.roles import some_messages
from tricorn.schemas.sampling import GenerationRequest, across
from tricorn.schemas.tools import Choice, Function, Functions, LegacyChoice, Tools, rules
from tricorn.schemas.truncation import Truncation
from tricorn.worker.protocol import ChatPrompt

_IN_MESSAGES = Within(
    {"[].content[].image_url": Needs("vision")}
    | {f"[].content[].{kind}": Without() for kind in sorted(FOREIGN_PARTS)}
)
_IN_TOOLS = Within({"[].custom": Without(), "[].function.strict": Needs("constraints")})
_IN_CHOICE = Within(
    {
        "required": Needs("constraints"),
        "function": Needs("constraints"),
        "allowed_tools": Needs("constraints"),
        "custom": Without(),
    }
)
_ONE_CALL = Within({"false": Needs("constraints")})


class ChatRequest(GenerationRequest):
    rules: ClassVar[Mapping[str, Rule]] = CHAT
    aliases: ClassVar[Mapping[str, str]] = {
        **GenerationRequest.aliases,
        **dict.fromkeys(BUDGET_NAMES, "thinking_budget"),
    }

    messages: Annotated[list[Message], BeforeValidator(some_messages), _IN_MESSAGES]
    max_tokens: Integer | None = Field(None, ge=1, lt=2**31)
    max_completion_tokens: Integer | None = Field(None, ge=1, lt=2**31)
    logprobs: Boolean = False
    top_logprobs: Integer | None = Field(None, ge=0, le=20)

    tools: Annotated[Tools, OfTools(), _IN_TOOLS] = []
    tool_choice: Annotated[Choice | None, OfTools(), _IN_CHOICE] = None
    parallel_tool_calls: Annotated[Boolean, OfTools(), _ONE_CALL] = True
    functions: Annotated[Functions, OfTools(held=True)] = []
    function_call: Annotated[LegacyChoice | None, OfTools(held=True)] = None

    thinking_budget: Annotated[Budget | None, OfThoughts()] = None
    reasoning_effort: Annotated[Effort | None, ForTemplate("reasoning_effort", *SWITCHES)] = None
    enable_thinking: Annotated[Boolean | None, ForTemplate(*SWITCHES)] = None
    verbosity: Annotated[Verbosity | None, ForTemplate("verbosity")] = None
    chat_template_kwargs: Annotated[JsonObject, ForTemplate()] = {}
    add_generation_prompt: Boolean | None = None
    """None: as `continue_final_message` needs it."""
    continue_final_message: Boolean = False
    truncation: Truncation = "disabled"
    keep_alive: KeepAlive | None = None

    @model_validator(mode="after")
    def _chat_fields_agree(self) -> Self:
        if None not in (self.max_tokens, self.max_completion_tokens) and (
            self.max_tokens != self.max_completion_tokens
        ):
            raise across(
                "max_tokens", "it differs from 'max_completion_tokens'; please send one of them"
            )
        if self.top_logprobs is not None and not self.logprobs:
            raise across("top_logprobs", "it is only allowed when 'logprobs' is true")
        self._template_variables()
        self._tools_agree()
        check_tool_messages(self.messages)
        if self.continue_final_message:
            if self.add_generation_prompt:
                raise across(
                    "add_generation_prompt", "it cannot be true with 'continue_final_message'"
                )
            if not isinstance(self.messages[-1], AssistantMessage):
                raise across("continue_final_message", "the last message must be the assistant's")
        return self

    def _template_variables(self) -> dict[str, Any]:
        given = self.chat_template_kwargs
        variables = thinking_variables(
            self.reasoning_effort, self.enable_thinking, given, budget=self.thinking_budget
        )
        if self.verbosity is None:
            return variables
        if given.get("verbosity", self.verbosity) != self.verbosity:
            raise across("verbosity", "it contradicts 'chat_template_kwargs.verbosity'")
        return variables | {"verbosity": self.verbosity}

    def _tools_agree(self) -> None:
        if self.tools and self.functions:
            raise across("functions", "it is the older form of 'tools'; please send one of them")
        old = bool(self.functions)
        names = [function.name for function in self._functions()]
        for number, name in enumerate(names):
            if name in names[:number]:
                where = f"functions[{number}].name" if old else f"tools[{number}].function.name"
                raise across(where, f"there is another function named '{name}'")
        for param, choice, needed in (
            ("tool_choice", self.tool_choice, "tools"),
            ("function_call", self.function_call, "functions"),
        ):
            if choice is None:
                continue
            if choice.mode == "required" and not getattr(self, needed):
                raise across(param, f"it is only allowed when '{needed}' are given")
            missing = [name for name in choice.names or () if name not in names]
            if missing:
                raise across(param, f"there is no function named '{missing[0]}' in '{needed}'")

    def _functions(self) -> list[Function]:
        return self.functions or [tool.function for tool in self.tools]

    def offered_tools(self) -> list[dict[str, Any]]:
        """The tools that the model is told of, in OpenAI's shape; none where it may not call."""
        choice = self.function_call if self.functions else self.tool_choice
        if choice is not None and choice.mode == "none":
            return []
        return [function.openai_form() for function in self._functions()]

    def sampling(self) -> SamplingParams:
        return msgspec.structs.replace(super().sampling(), thinking_budget=self.thinking_budget)

    def token_limit(self) -> int | None:
        return self.max_tokens if self.max_completion_tokens is None else self.max_completion_tokens

    def logprob_count(self) -> int | None:
        return (self.top_logprobs or 0) if self.logprobs else None

    def image_urls(self) -> list[tuple[str, str]]:
        """(path in the request, URL) of every image, in order."""
        return [
            (f"messages[{number}].content[{position}].image_url.url", image.url)
            for number, message in enumerate(self.messages)
            if isinstance(message, UserMessage)
            for position, image in message.images()
        ]

    def prompt(self, images: Sequence[Image] = ()) -> ChatPrompt:
        """images: what is behind `image_urls`."""
        generation_prompt = self.add_generation_prompt
        if generation_prompt is None:
            generation_prompt = not self.continue_final_message
        return ChatPrompt(
            messages=[message.template_form() for message in self.messages],
            add_generation_prompt=generation_prompt,
            continue_final_message=self.continue_final_message,
            template_kwargs=self._template_variables(),
            images=list(images),
            truncation=self.truncation == "auto",
            tools=self.offered_tools() or None,
            rules=rules(
                self.function_call if self.functions else self.tool_choice,
                parallel=self.parallel_tool_calls and not self.functions,
                param="functions" if self.functions else "tools",
            ),
        )

    def unknown_inside(self) -> list[str]:
        found = super().unknown_inside()
        for position, message in enumerate(self.messages):
            found += [f"messages[{position}].{name}" for name in message.unknown()]
        for position, tool in enumerate(self.tools):
            found += [f"tools[{position}].{name}" for name in tool.unknown()]
            inner = tool.function.unknown()
            found += [f"tools[{position}].function.{name}" for name in inner]
        for position, function in enumerate(self.functions):
            found += [f"functions[{position}].{name}" for name in function.unknown()]
        return found
