"""The formats of tool calls, by name: how each is written, read and recognised."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tricorn.chat.tools import harmony, json_formats, pythonic, tagged
from tricorn.chat.tools.parser import Maker

NAME, ARGUMENTS = "\x00name\x00", "\x00arguments\x00"
"""In `Format.call`: where the tool's name and the call's arguments are written."""

EMULATED = "emulated"
"""The model's template knows no tools: a system message describes them (`emulation`)."""


@dataclass(frozen=True)
class Format:
    """Calls are written `first call (between call)* last`."""

    parser: Maker
    call: str
    first: str = ""
    between: str = ""
    last: str = ""
    trigger: str = ""
    """What a call begins with and nothing else does; empty: nothing marks it."""
    markers: tuple[str, ...] = ()
    """Texts that are tokens of their own in some vocabularies, and control tokens in others."""
    arguments: Literal["json", "qwen", "glm", "python"] = "json"
    parallel: bool = True
    """An answer may have several calls."""
    signs: tuple[str, ...] = ()
    """A template that writes this format has all of these in its text."""


_HERMES = '<tool_call>\n{"name": "' + NAME + '", "arguments": ' + ARGUMENTS + "}\n</tool_call>"
_TAGS = ("<tool_call>", "</tool_call>")
_DEEPSEEK = (
    json_formats.DeepSeekParser.FIRST,
    json_formats.DeepSeekParser.BEGIN,
    json_formats.DeepSeekParser.NAMED,
    json_formats.DeepSeekParser.END,
    json_formats.DeepSeekParser.LAST,
)
_FIRST, _BEGIN, _NAMED, _END, _LAST = _DEEPSEEK

FORMATS: dict[str, Format] = {
    "harmony": Format(
        harmony.HarmonyParser,
        f"<|channel|>commentary to=functions.{NAME} <|constrain|>json<|message|>{ARGUMENTS}",
        trigger="<|channel|>commentary",
        markers=harmony.MARKERS,
        parallel=False,
        signs=("<|channel|>", "<|message|>", "functions."),
    ),
    "deepseek": Format(
        json_formats.DeepSeekParser,
        f"{_BEGIN}function{_NAMED}{NAME}\n```json\n{ARGUMENTS}\n```{_END}",
        first=_FIRST,
        between="\n",
        last=_LAST,
        trigger=_FIRST,
        markers=_DEEPSEEK,
        signs=(_BEGIN, "```json"),
    ),
    "deepseek-v3.1": Format(
        json_formats.DeepSeekParser,
        f"{_BEGIN}{NAME}{_NAMED}{ARGUMENTS}{_END}",
        first=_FIRST,
        last=_LAST,
        trigger=_FIRST,
        markers=_DEEPSEEK,
        signs=(_BEGIN,),
    ),
    "mistral": Format(
        json_formats.MistralParser,
        f"[TOOL_CALLS]{NAME}[ARGS]{ARGUMENTS}",
        trigger="[TOOL_CALLS]",
        markers=("[TOOL_CALLS]", "[ARGS]", "[CALL_ID]"),
        signs=("[TOOL_CALLS]", "[ARGS]"),
    ),
    "mistral-old": Format(
        json_formats.MistralParser,
        '{"name": "' + NAME + '", "arguments": ' + ARGUMENTS + "}",
        first="[TOOL_CALLS] [",
        between=", ",
        last="]",
        trigger="[TOOL_CALLS]",
        markers=("[TOOL_CALLS]",),
        signs=("[TOOL_CALLS]",),
    ),
    "qwen3-coder": Format(
        tagged.QwenCoderParser,
        f"<tool_call>\n<function={NAME}>\n{ARGUMENTS}</function>\n</tool_call>",
        between="\n",
        trigger="<tool_call>",
        markers=_TAGS,
        arguments="qwen",
        signs=("<function=", "<parameter="),
    ),
    "glm": Format(
        tagged.GlmParser,
        f"<tool_call>{NAME}\n{ARGUMENTS}</tool_call>",
        between="\n",
        trigger="<tool_call>",
        markers=(*_TAGS, "<arg_key>", "</arg_key>", "<arg_value>", "</arg_value>"),
        arguments="glm",
        signs=("<tool_call>", "<arg_key>"),
    ),
    "hermes": Format(
        json_formats.HermesParser,
        _HERMES,
        between="\n",
        trigger="<tool_call>",
        markers=_TAGS,
        signs=("<tool_call>",),
    ),
    "pythonic": Format(
        pythonic.PythonicParser,
        f"{NAME}({ARGUMENTS})",
        first="[",
        between=", ",
        last="]",
        markers=("<|python_start|>", "<|python_end|>"),
        arguments="python",
        signs=("tool_call",),
    ),
    "llama": Format(
        json_formats.LlamaParser,
        '{"name": "' + NAME + '", "parameters": ' + ARGUMENTS + "}",
        markers=(json_formats.PYTHON_TAG,),
        # Its templates refuse a conversation in which an answer had several.
        parallel=False,
        signs=("tool_call",),
    ),
    EMULATED: Format(
        json_formats.HermesParser,
        _HERMES,
        between="\n",
        trigger="<tool_call>",
        markers=_TAGS,
        signs=("\x00",),
    ),
}
"""In the order in which a template is tried: what is more particular comes first."""
