"""Fields of the Responses API's requests that need more than a type, and what of them depends on
the model."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator

from tricorn.schemas.cells import ForTemplate, Needs, NoEffect, Within, Without
from tricorn.schemas.constraints import ResponseFormat
from tricorn.schemas.fields import Boolean, bad_value, inside, unsupported, wrong_type
from tricorn.schemas.objects import OpenObject
from tricorn.schemas.reasoning import SWITCHES
from tricorn.schemas.responses.items import InputItem

LOGPROBS = "message.output_text.logprobs"
INCLUDABLE = (
    LOGPROBS,
    "reasoning.encrypted_content",
    "message.input_image.image_url",
    "file_search_call.results",
    "web_search_call.results",
    "web_search_call.action.sources",
    "computer_call_output.output.image_url",
    "code_interpreter_call.outputs",
)
"""All but the first are hints: what they name is always there, or never."""

MAX_METADATA = 16

IN_INPUT = Within(
    {
        "[].content[].input_image": Needs("vision"),
        "[].content[].input_file": Without(),
        "[].content[].input_audio": Without(),
    }
)
IN_TOOLS = Within({"[].strict": Needs("constraints")})
IN_CHOICE = Within(
    {
        "required": Needs("constraints"),
        "function": Needs("constraints"),
        "allowed_tools": Needs("constraints"),
    }
)
ONE_CALL = Within({"false": Needs("constraints")})
IN_TEXT = Within(
    {
        "format.json_object": Needs("constraints"),
        "format.json_schema": Needs("constraints"),
        "verbosity": ForTemplate("verbosity"),
    }
)
IN_REASONING = Within(
    {
        "effort": ForTemplate("reasoning_effort", *SWITCHES),
        "summary": NoEffect("thoughts are given as they are"),
        "context": NoEffect("the chat template decides it"),
    }
)
IN_INCLUDE = Within({name: NoEffect() for name in INCLUDABLE[1:]})


def _input(value: object) -> object:
    """A string is a message of the user."""
    if isinstance(value, str):
        return [{"type": "message", "role": "user", "content": value}]
    if not isinstance(value, list):
        raise wrong_type("a string or an array of items", value)
    return value


def _metadata(value: object) -> object:
    if not isinstance(value, dict):
        raise wrong_type("an object", value)
    if len(value) > MAX_METADATA:
        raise bad_value(f"at most {MAX_METADATA} keys, got {len(value)}")
    for key, text in value.items():
        if not isinstance(text, str):
            raise inside(wrong_type("a string", text), key)
        if len(key) > 64 or len(text) > 512:
            raise inside(bad_value("a key has at most 64 characters, a value 512"), key)
    return value


def _include(value: object) -> object:
    if not isinstance(value, list):
        raise wrong_type("an array of strings", value)
    for position, name in enumerate(value):
        if name not in INCLUDABLE:
            known = ", ".join(INCLUDABLE)
            raise inside(bad_value(f"must be one of {known}, got {name!r}"), position)
    return value


def _moved(value: object) -> object:
    raise unsupported("Responses take 'text.format' in place of 'response_format'.")


class ResponsesStreamOptions(OpenObject):
    include_obfuscation: Boolean = False
    """A hint: padding against eavesdroppers on the stream is never sent."""


Input = Annotated[
    list[InputItem],
    BeforeValidator(_input, json_schema_input_type=str | list[InputItem]),
    IN_INPUT,
]
Metadata = Annotated[dict[str, str], BeforeValidator(_metadata), NoEffect()]
Include = Annotated[list[str], BeforeValidator(_include), IN_INCLUDE]
Moved = Annotated[
    ResponseFormat | None, BeforeValidator(_moved), Without("its place is text.format")
]
