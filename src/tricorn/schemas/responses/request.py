"""`POST /v1/responses`: the request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Self

import msgspec
from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from tricorn.engines.request import ChatPrompt, Constraint, Image, SamplingParams
from tricorn.schemas.cells import ForTemplate, NoEffect, OfThoughts, OfTools, Within
from tricorn.schemas.constrained import ConstraintFields
from tricorn.schemas.fields import Boolean, Integer, JsonObject, String, across
from tricorn.schemas.parameters import RESPONSES, Rule
from tricorn.schemas.reasoning import BUDGET_NAMES, SWITCHES, Budget, thinking_variables
from tricorn.schemas.responses import conversation
from tricorn.schemas.responses.conversation import Placed
from tricorn.schemas.responses.fields import (
    IN_CHOICE,
    IN_REASONING,
    IN_TEXT,
    IN_TOOLS,
    LOGPROBS,
    ONE_CALL,
    Include,
    Input,
    Metadata,
    Moved,
    ResponsesStreamOptions,
)
from tricorn.schemas.responses.items import ItemReference
from tricorn.schemas.responses.text import ReasoningConfig, TextConfig
from tricorn.schemas.responses.tools import ResponsesChoice, ResponsesTools, listed_choice
from tricorn.schemas.sampling import SamplingRequest
from tricorn.schemas.tools import rules
from tricorn.schemas.truncation import Truncation


class ResponsesRequest(ConstraintFields, SamplingRequest):
    rules: ClassVar[Mapping[str, Rule]] = RESPONSES
    aliases: ClassVar[Mapping[str, str]] = {
        **SamplingRequest.aliases,
        **dict.fromkeys(BUDGET_NAMES, "thinking_budget"),
    }

    input: Input = []
    instructions: String | None = None
    previous_response_id: String | None = Field(None, min_length=1)
    store: Boolean = True
    truncation: Truncation = "disabled"

    tools: Annotated[ResponsesTools, OfTools(), IN_TOOLS] = []
    tool_choice: Annotated[ResponsesChoice | None, OfTools(), IN_CHOICE] = None
    parallel_tool_calls: Annotated[Boolean, OfTools(), ONE_CALL] = True
    max_tool_calls: Annotated[
        Integer | None, NoEffect("it counts calls of OpenAI's own tools, which are not here")
    ] = Field(None, ge=1)

    text: Annotated[TextConfig, IN_TEXT] = TextConfig()
    reasoning: Annotated[ReasoningConfig, IN_REASONING] = ReasoningConfig()
    response_format: Moved = None
    thinking_budget: Annotated[Budget | None, OfThoughts()] = None
    enable_thinking: Annotated[Boolean | None, ForTemplate(*SWITCHES)] = None
    chat_template_kwargs: Annotated[JsonObject, ForTemplate()] = {}

    max_output_tokens: Integer | None = Field(None, ge=1, lt=2**31)
    top_logprobs: Integer = Field(0, ge=0, le=20)
    include: Include = []
    stream_options: Annotated[
        ResponsesStreamOptions | None, Within({"include_obfuscation": NoEffect()})
    ] = None

    # the response repeats them
    metadata: Metadata = {}
    user: Annotated[String | None, NoEffect()] = None
    safety_identifier: Annotated[String | None, NoEffect()] = None
    prompt_cache_key: Annotated[String | None, NoEffect()] = None

    @model_validator(mode="after")
    def _responses_fields_agree(self) -> Self:
        if not self.input and self.previous_response_id is None:
            if "input" in self.model_fields_set:
                raise across("input", "there must be at least one item")
            raise PydanticCustomError("missing", "missing", {"param": "input"})
        if self.stream_options is not None and not self.stream:
            raise across("stream_options", "it is only allowed when 'stream' is true")
        self._template_variables()
        self._tools_agree()
        return self

    def _tools_agree(self) -> None:
        names = [tool.name for tool in self.tools]
        for number, name in enumerate(names):
            if name in names[:number]:
                raise across(f"tools[{number}].name", f"there is another function named '{name}'")
        choice = self.tool_choice
        if choice is None:
            return
        if choice.mode == "required" and not self.tools:
            raise across("tool_choice", "it is only allowed when 'tools' are given")
        missing = [name for name in choice.names or () if name not in names]
        if missing:
            raise across("tool_choice", f"there is no function named '{missing[0]}' in 'tools'")

    def _template_variables(self) -> dict[str, Any]:
        given = self.chat_template_kwargs
        variables = thinking_variables(
            self.reasoning.effort,
            self.enable_thinking,
            given,
            effort_field="reasoning.effort",
            budget=self.thinking_budget,
        )
        verbosity = self.text.verbosity
        if verbosity is None:
            return variables
        if given.get("verbosity", verbosity) != verbosity:
            raise across("text.verbosity", "it contradicts 'chat_template_kwargs.verbosity'")
        return variables | {"verbosity": verbosity}

    def _constraints(self) -> list[tuple[str, Constraint]]:
        form = self.text.constraint()
        own = [("text.format", form)] if form is not None else []
        return own + super()._constraints()

    def token_limit(self) -> int | None:
        return self.max_output_tokens

    def sampling(self) -> SamplingParams:
        return msgspec.structs.replace(super().sampling(), thinking_budget=self.thinking_budget)

    def logprob_count(self) -> int | None:
        return self.top_logprobs if self.wants_logprobs else None

    @property
    def wants_logprobs(self) -> bool:
        return LOGPROBS in self.include or self.top_logprobs > 0

    def references(self) -> list[tuple[str, str]]:
        """(path in the request, id) of every stored item that is named, in order."""
        return [
            (f"input[{number}].id", item.id)
            for number, item in enumerate(self.input)
            if isinstance(item, ItemReference)
        ]

    def items(self, found: Mapping[str, dict[str, Any]]) -> list[Placed]:
        """What came in. found: the items behind `references`, by their ids, as they are listed."""
        return [
            Placed(
                f"input[{number}]",
                conversation.stored_item(found[item.id])
                if isinstance(item, ItemReference)
                else item,
            )
            for number, item in enumerate(self.input)
        ]

    def offered_tools(self) -> list[dict[str, Any]]:
        """The tools that the model is told of, in chat completions' shape; none where it may not
        call."""
        if self.tool_choice is not None and self.tool_choice.mode == "none":
            return []
        return [tool.openai_form() for tool in self.tools]

    def prompt(self, items: Sequence[Placed], images: Sequence[Image] = ()) -> ChatPrompt:
        """items: the whole conversation. images: what is behind its `image_urls`."""
        return ChatPrompt(
            messages=conversation.messages(self.instructions, items),
            template_kwargs=self._template_variables(),
            images=list(images),
            tools=self.offered_tools() or None,
            rules=rules(self.tool_choice, parallel=self.parallel_tool_calls, param="tools"),
            truncation=self.truncation == "auto",
        )

    def repeated(self) -> dict[str, Any]:
        """What the response says of the request."""
        return {
            "background": False,
            "instructions": self.instructions,
            "max_output_tokens": self.max_output_tokens,
            "max_tool_calls": self.max_tool_calls,
            "metadata": self.metadata,
            "parallel_tool_calls": self.parallel_tool_calls,
            "previous_response_id": self.previous_response_id,
            "prompt_cache_key": self.prompt_cache_key,
            "reasoning": self.reasoning.listed(),
            "safety_identifier": self.safety_identifier,
            "service_tier": "default",
            "store": self.store,
            "temperature": self.temperature,
            "text": self.text.listed(),
            "tool_choice": listed_choice(self.tool_choice),
            "tools": [tool.listed() for tool in self.tools],
            "top_logprobs": self.top_logprobs,
            "top_p": self.top_p,
            "truncation": self.truncation,
            "user": self.user,
        }

    def unknown_inside(self) -> list[str]:
        found = self.unknown_in_constraints()
        for number, item in enumerate(self.input):
            found += [f"input[{number}].{name}" for name in item.unknown()]
        for number, tool in enumerate(self.tools):
            found += [f"tools[{number}].{name}" for name in tool.unknown()]
        for field in ("text", "reasoning", "stream_options"):
            value = getattr(self, field)
            found += [f"{field}.{name}" for name in value.unknown()] if value else []
        return found
