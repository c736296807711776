"""`POST /v1/messages` and `POST /v1/messages/count_tokens`: the requests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Self

from pydantic import BeforeValidator, Field, PrivateAttr, model_validator

from tricorn.engines.request import ChatPrompt, Constraint, Image, SamplingParams
from tricorn.schemas.anthropic import chat as anthropic_chat
from tricorn.schemas.anthropic import tools as anthropic_tools
from tricorn.schemas.anthropic.blocks import SystemContent, unknown_of
from tricorn.schemas.anthropic.chat import Chat
from tricorn.schemas.anthropic.messages import Message
from tricorn.schemas.anthropic.options import (
    ContextManagement,
    OutputConfig,
    OutputFormat,
    Thinking,
    template_variables,
    thoughts_kept,
)
from tricorn.schemas.anthropic.tools import ToolChoiceField, Tools
from tricorn.schemas.cells import ForTemplate, Needs, OfThoughts, OfTools, Within, Without
from tricorn.schemas.fields import Boolean, Integer, Number, Stop, String
from tricorn.schemas.parameters import ANTHROPIC, Rule
from tricorn.schemas.reasoning import SWITCHES
from tricorn.schemas.request import RequestModel
from tricorn.schemas.roles import some_messages
from tricorn.schemas.sampling import across

_IN_MESSAGES = Within({"[].content[].image": Needs("vision"), "[].content[].document": Without()})
_IN_TOOLS = Within(
    {"[].strict": Needs("constraints"), "[].type": Without("only custom tools", ("custom",))}
)
_IN_CHOICE = Within(
    dict.fromkeys(("any", "tool", "disable_parallel_tool_use"), Needs("constraints"))
)
_IN_THINKING = Within({"budget_tokens": OfThoughts(), "between_tools": Without()})
_IN_CONFIG = Within({"format": Needs("constraints"), "task_budget": Without()})
_IN_MANAGEMENT = Within({"clear_tool_uses_20250919": Without()})


class CountTokensRequest(RequestModel):
    """What a prompt is made of."""

    rules: ClassVar[Mapping[str, Rule]] = ANTHROPIC

    model: String = Field(min_length=1)
    messages: Annotated[list[Message], BeforeValidator(some_messages), _IN_MESSAGES]
    system: SystemContent = []
    tools: Annotated[Tools, OfTools(), _IN_TOOLS] = []
    tool_choice: Annotated[ToolChoiceField | None, OfTools(), _IN_CHOICE] = None
    thinking: Annotated[Thinking | None, ForTemplate(*SWITCHES), _IN_THINKING] = None
    output_config: Annotated[OutputConfig, ForTemplate("reasoning_effort"), _IN_CONFIG] = (
        OutputConfig()
    )
    output_format: Annotated[OutputFormat | None, Needs("constraints")] = None
    """Its older name is that of `output_config.format`."""
    context_management: Annotated[ContextManagement, _IN_MANAGEMENT] = {}

    _chat: Chat = PrivateAttr(default_factory=Chat)

    @model_validator(mode="after")
    def _fields_agree(self) -> Self:
        anthropic_tools.check(self.tools, self.tool_choice)
        config = self.output_config.format
        if None not in (self.output_format, config) and self.output_format != config:
            raise across("output_format", "it differs from 'output_config.format'")
        self._chat = anthropic_chat.chat(
            self.system, self.messages, thoughts_kept=thoughts_kept(self.context_management)
        )
        if not self._chat.messages or self._chat.messages[-1]["role"] == "system":
            raise across("messages", "there must be at least one message of the user")
        if self._chat.continued and self.thinking is not None and self.thinking.type == "enabled":
            raise across(
                f"messages[{len(self.messages) - 1}]",
                "an answer that is begun already cannot be thought about; leave 'thinking' out or "
                "end with a message of the user",
            )
        return self

    def image_urls(self) -> list[tuple[str, str]]:
        """(path in the request, URL) of every image, in order."""
        return self._chat.images

    def offered_tools(self) -> list[dict[str, Any]]:
        """The tools that the model is told of, in OpenAI's shape."""
        return anthropic_tools.offered(self.tools, self.tool_choice, self._chat.found_tools)

    def prompt(self, images: Sequence[Image] = ()) -> ChatPrompt:
        """images: what is behind `image_urls`."""
        return ChatPrompt(
            messages=self._chat.messages,
            add_generation_prompt=not self._chat.continued,
            continue_final_message=self._chat.continued,
            template_kwargs=template_variables(self.thinking, self.output_config.effort),
            images=list(images),
            tools=self.offered_tools() or None,
            rules=anthropic_tools.tool_rules(self.tool_choice),
        )

    def constraint(self) -> Constraint | None:
        """What the answer must look like; None: like anything."""
        if self.output_config.format is not None:
            return self.output_config.format.constraint("output_config.format")
        if self.output_format is not None:
            return self.output_format.constraint("output_format")
        return None

    def unknown_inside(self) -> list[str]:
        found = super().unknown_inside()
        for field in ("messages", "system", "tools"):
            found += unknown_of(getattr(self, field), field)
        for field in ("tool_choice", "thinking", "output_config", "output_format"):
            value = getattr(self, field)
            found += [f"{field}.{name}" for name in value.unknown()] if value else []
        return found


class MessagesRequest(CountTokensRequest):
    max_tokens: Integer = Field(ge=0, lt=2**31)
    """0 only puts the prompt into the prefix cache."""
    stream: Boolean = False
    stop_sequences: Stop = []
    temperature: Number = Field(1.0, ge=0, le=1)
    top_p: Number = Field(1.0, ge=0, le=1)
    top_k: Integer = Field(0, ge=0, lt=2**31)

    @model_validator(mode="after")
    def _budget_fits(self) -> Self:
        budget = self.thinking.budget_tokens if self.thinking else None
        if budget is not None and budget >= self.max_tokens:
            raise across("thinking.budget_tokens", "it must be below 'max_tokens'")
        return self

    @property
    def shows_thoughts(self) -> bool:
        return self.thinking is None or self.thinking.display != "omitted"

    def sampling(self) -> SamplingParams:
        return SamplingParams(
            temperature=self.temperature,
            top_p=self.top_p,
            top_k=self.top_k,
            stop=tuple(self.stop_sequences),
            max_tokens=self.max_tokens,
            constraint=self.constraint(),
            thinking_budget=self.thinking.budget_tokens if self.thinking else None,
        )
