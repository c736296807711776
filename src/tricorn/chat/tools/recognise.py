"""Which format of tool calls a chat template writes, found out by letting it write some.

A template that has a format's signs in its text is given a known conversation with a tool. What it
makes of the assistant's call is read by the format's own parser: only where the same call comes
out, and the tool was described, is the model asked in that format.
"""

from __future__ import annotations

import json
from itertools import product
from typing import Any

from tricorn.chat import reasoning
from tricorn.chat.answer_reader import AnswerReader
from tricorn.chat.pieces import CallPart, Reading
from tricorn.chat.reasoning import HARMONY
from tricorn.chat.template import ChatTemplate, variables
from tricorn.chat.tools import call_ids
from tricorn.chat.tools.format import NAME, Format
from tricorn.chat.tools.formats import EMULATED, FORMATS
from tricorn.engines.spec import Dialect, LoadedModel
from tricorn.errors import RequestError

_TOOL = "look_up_tide"
_PLACE = "Bergen-417"
_ARGUMENTS = {"harbour": _PLACE}
_QUESTION, _RESULT = "When is high tide there?", "It is at 17:42."
_TOOLS: list[dict[str, Any]] = [
    {
        "type": "function",
        "function": {
            "name": _TOOL,
            "description": "Tells the tide at a harbour.",
            "parameters": {
                "type": "object",
                "properties": {"harbour": {"type": "string", "description": "Its name"}},
                "required": ["harbour"],
            },
        },
    }
]


def dialect(model: LoadedModel) -> Dialect:
    """What the model's chat template speaks."""
    source = model.chat_template
    if source is None:
        return Dialect(chat=False)
    of_tools = model.tool_template or source
    template = ChatTemplate(
        source, bos_token=model.bos_token, eos_token=model.eos_token, for_tools=of_tools
    )
    thoughts = reasoning.find_format(source) or reasoning.find_format(of_tools)
    read = tuple(sorted(variables(source) | variables(of_tools)))
    opening = _opening(template)
    for name, form in FORMATS.items():
        if "tools" not in of_tools or not all(sign in of_tools for sign in form.signs):
            continue
        # Some templates write null out as a word, and a few cannot take anything else.
        for as_object, content in product((True, False), ("", None)):
            turn = _rendered(template, form, as_object=as_object, content=content)
            if turn is not None and _reads(name, turn, opening):
                empty = content == ""
                return Dialect(name, as_object, thoughts, empty_content=empty, variables=read)
    return Dialect(
        EMULATED,
        True,
        thoughts,
        system_role=_takes_system(template),
        chat=template.usable,
        variables=read,
    )


def conversation(*, as_object: bool, content: str | None) -> list[dict[str, Any]]:
    """A question, a call with these arguments, and its result."""
    arguments = _ARGUMENTS if as_object else json.dumps(_ARGUMENTS)
    call = {
        "id": "abcdefghi",
        "type": "function",
        "function": {"name": _TOOL, "arguments": arguments},
    }
    return [
        {"role": "user", "content": _QUESTION},
        {"role": "assistant", "content": content, "tool_calls": [call]},
        {"role": "tool", "content": _RESULT, "tool_call_id": "abcdefghi", "name": _TOOL},
    ]


def _rendered(
    template: ChatTemplate, form: Format, *, as_object: bool, content: str | None
) -> str | None:
    """The assistant's turn as the template writes it; None where it refuses the conversation, or
    does not tell the model of the tool."""
    messages = call_ids.adapted(conversation(as_object=as_object, content=content), form)
    try:
        text = template.render(messages, tools=_TOOLS, add_generation_prompt=False)
    except RequestError:
        return None
    before, _, after = text.rpartition(_QUESTION)
    turn, found, _ = after.partition(_RESULT)
    return turn if found and _TOOL in before else None


def _opening(template: ChatTemplate) -> str | None:
    """What stands between a question and the text of an answer."""
    messages = [
        {"role": "user", "content": _QUESTION},
        {"role": "assistant", "content": _RESULT},
    ]
    try:
        text = template.render(messages, tools=_TOOLS, add_generation_prompt=False)
    except RequestError:
        return None
    opening, found, _ = text.rpartition(_QUESTION)[2].partition(_RESULT)
    return opening if found else None


def _takes_system(template: ChatTemplate) -> bool:
    messages = [{"role": "system", "content": _PLACE}, {"role": "user", "content": _QUESTION}]
    try:
        return _PLACE in template.render(messages)
    except RequestError:
        return False


def _reads(name: str, turn: str, opening: str | None) -> bool:
    """Whether the parser finds the call. What is around it (roles, end marks) does not matter to
    formats that mark a call; with others it stands where the text of an answer does."""
    form = FORMATS[name]
    if name == HARMONY:
        # A call's head begins with the role.
        turn = turn[max(0, turn.find("<|start|>assistant")) :]
        at = 0
    else:
        at = turn.find(form.trigger) if form.trigger else turn.find(_TOOL)
        if at < 0 and form.unmarked_history:
            brace = turn.find("{")
            turn, at = form.first + turn[brace:], 0
        # Several formats have the same trigger.
        if form.trigger and _behind(form.trigger, turn[at:]) != _behind(
            form.trigger, _written(form)
        ):
            return False
    if at < 0:
        return False
    if not form.trigger:
        at = turn.rfind("[" if form.first else "{", 0, at)
        head = turn[: max(at, 0)].strip()
        for marker in form.markers:
            head = head.removesuffix(marker).strip()
        if at < 0 or opening is None or head != opening.strip():
            return False
    reader = AnswerReader(Reading(name), _TOOLS)
    pieces = reader.feed(turn[at:]) + reader.finish(cut=False)
    parts = [piece for piece in pieces if isinstance(piece, CallPart)]
    try:
        arguments = json.loads("".join(part.arguments for part in parts))
    except ValueError:
        return False
    return bool(parts) and parts[0].name == _TOOL and arguments == _ARGUMENTS


def _written(form: Format) -> str:
    return (form.first + form.call).replace(NAME, _TOOL)


def _behind(trigger: str, text: str) -> str:
    """The character that comes after it."""
    return text[len(trigger) :].lstrip()[:1]
