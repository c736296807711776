"""Ollama's `POST /api/chat` and `POST /api/generate`: the requests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Self

from pydantic import Field, model_validator

from tricorn.engines.request import Constraint, Image, SamplingParams
from tricorn.schemas.cells import ByTemplate, Needs, OfTools, Thinks, Within
from tricorn.schemas.fields import Boolean, Integer, KeepAlive, String, across
from tricorn.schemas.ollama.fields import Format, Think
from tricorn.schemas.ollama.messages import Message, content_with_images, image_urls, template_forms
from tricorn.schemas.ollama.options import Options
from tricorn.schemas.parameters import Inert, Rule
from tricorn.schemas.reasoning import thinking_variables
from tricorn.schemas.request import RequestModel
from tricorn.schemas.sampling import unsupported_across
from tricorn.schemas.tools import MAX_TOOLS, FunctionType, Tool
from tricorn.worker.protocol import ChatPrompt, FillPrompt, Prompt, TextPrompt

_GENERATION: dict[str, Rule] = {
    # On with Ollama: an answer that fills the context goes on, without the prompt's beginning.
    "shift": Inert((False,)),
    "_debug_render_only": Inert((False,)),
}


_IN_MESSAGES = Within({"[].images": Needs("vision")})


class OllamaRequest(RequestModel):
    """What all requests that use a model have in common."""

    model: String = Field(min_length=1)
    options: Options = Field(default_factory=lambda: Options.model_validate({}))
    keep_alive: KeepAlive | None = None

    def unknown_inside(self) -> list[str]:
        return [f"options.{name}" for name in self.options.unknown()]


class OllamaGeneration(OllamaRequest):
    """What chat and generate have in common."""

    stream: Boolean = True
    format: Annotated[Format, Needs("constraints")] = None
    think: Annotated[Think | None, Thinks()] = None
    logprobs: Boolean = False
    top_logprobs: Integer = Field(0, ge=0, le=20)
    truncate: Boolean = False
    """The oldest turns of a chat may be dropped. With Ollama they may unless it says false."""

    @model_validator(mode="after")
    def _logprobs_agree(self) -> Self:
        if self.top_logprobs and not self.logprobs:
            raise across("top_logprobs", "it is only allowed when 'logprobs' is true")
        return self

    def is_empty(self) -> bool:
        """There is nothing to answer: Ollama's way to ask for the model to be loaded."""
        raise AssertionError("each request knows what it answers")

    @property
    def constraint(self) -> Constraint | None:
        return self.format

    def sampling(self) -> SamplingParams:
        return self.options.sampling(
            logprobs=self.top_logprobs if self.logprobs else None, constraint=self.constraint
        )

    def thinking(self) -> dict[str, Any]:
        """Variables for the chat template."""
        if isinstance(self.think, str):
            return thinking_variables(self.think, None, {})
        return thinking_variables(None, self.think, {})


class OllamaTool(Tool):
    type: FunctionType = "function"
    """Ollama does not ask for it."""


class OllamaChat(OllamaGeneration):
    rules: ClassVar[Mapping[str, Rule]] = _GENERATION

    messages: Annotated[list[Message], _IN_MESSAGES] = []
    tools: Annotated[list[OllamaTool], OfTools()] = Field([], max_length=MAX_TOOLS)

    @model_validator(mode="after")
    def _tools_differ(self) -> Self:
        names = [tool.function.name for tool in self.tools]
        for number, name in enumerate(names):
            if name in names[:number]:
                where = f"tools[{number}].function.name"
                raise across(where, f"there is another function named '{name}'")
        return self

    def is_empty(self) -> bool:
        return not self.messages

    def image_urls(self) -> list[tuple[str, str]]:
        """(path in the request, URL) of every image, in order."""
        return [
            found
            for number, message in enumerate(self.messages)
            for found in image_urls(message.images, f"messages[{number}].images")
        ]

    def offered_tools(self) -> list[dict[str, Any]]:
        """In OpenAI's shape."""
        return [tool.function.openai_form() for tool in self.tools]

    def engine_prompt(self, images: Sequence[Image] = ()) -> ChatPrompt:
        """images: what is behind `image_urls`."""
        last = self.messages[-1]
        # As with Ollama, a last message of the assistant is the beginning of its answer.
        begun = last.role == "assistant" and bool(last.content) and not last.tool_calls
        return ChatPrompt(
            messages=template_forms(self.messages),
            add_generation_prompt=not begun,
            continue_final_message=begun,
            template_kwargs=self.thinking(),
            images=list(images),
            tools=self.offered_tools() or None,
            truncation=self.truncate,
        )

    def unknown_inside(self) -> list[str]:
        found = super().unknown_inside()
        for number, message in enumerate(self.messages):
            found += [f"messages[{number}].{name}" for name in message.unknown_paths()]
        for number, tool in enumerate(self.tools):
            found += [f"tools[{number}].{name}" for name in tool.unknown()]
            inner = tool.function.unknown()
            found += [f"tools[{number}].function.{name}" for name in inner]
        return found


class OllamaGenerate(OllamaGeneration):
    rules: ClassVar[Mapping[str, Rule]] = {
        **_GENERATION,
        "template": Inert(("",)),
        "context": Inert(([],)),
        # Of models that make images.
        "width": Inert((0,)),
        "height": Inert((0,)),
        "steps": Inert((0,)),
    }

    prompt: Annotated[String, Within({"without raw": ByTemplate()})] = ""
    suffix: Annotated[String, Needs("fill_in_middle", ("",))] = ""
    system: String = ""
    images: Annotated[list[String], Needs("vision", ([],))] = []
    raw: Boolean = False

    @model_validator(mode="after")
    def _fields_agree(self) -> Self:
        plain = "raw" if self.raw else "suffix" if self.suffix else None
        if plain is None:
            return self
        for name in ("system", "images", "think"):
            if getattr(self, name):
                raise unsupported_across(
                    name, f"'{name}' is only possible without '{plain}', which uses no template."
                )
        return self

    @property
    def is_plain(self) -> bool:
        """It goes to the model without its chat template."""
        return self.raw or bool(self.suffix)

    def is_empty(self) -> bool:
        return not (self.prompt or self.suffix or self.images)

    def image_urls(self) -> list[tuple[str, str]]:
        """(path in the request, URL) of every image, in order."""
        return list(image_urls(self.images, "images"))

    def engine_prompt(self, images: Sequence[Image] = ()) -> Prompt:
        """images: what is behind `image_urls`."""
        if self.suffix:
            return FillPrompt(self.prompt, self.suffix)
        if self.raw:
            return TextPrompt(self.prompt)
        messages: list[dict[str, Any]] = []
        if self.system:
            messages.append({"role": "system", "content": self.system})
        content = content_with_images(self.prompt, len(images))
        messages.append({"role": "user", "content": content})
        return ChatPrompt(messages=messages, template_kwargs=self.thinking(), images=list(images))
