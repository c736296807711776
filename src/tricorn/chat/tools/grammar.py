"""A grammar for a whole answer: thoughts first where the model has some, then calls or text.

Thoughts are never constrained. A grammar that only allowed the answer would make a model that
thinks answer without a thought, and worse than it can.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from tricorn.chat.reasoning import HARMONY, TAGS
from tricorn.chat.tools import arguments
from tricorn.chat.tools.formats import ARGUMENTS, FORMATS, NAME, Format
from tricorn.chat.tools.rules import ToolRules
from tricorn.engines import json_style
from tricorn.engines.base import Constraint

MAX_CALLS = 16
"""Calls in one answer; a small model that may go on would go on for ever."""

_SPACE = r"/[ \t\r\n]{0,4}/"
_ANY = "/(?s:.*)/"


class Grammar:
    """tokens: marker → its id, for markers that are a token of their own in the model's vocabulary;
    a control token is not the same as its text."""

    def __init__(self, tokens: Mapping[str, int]) -> None:
        self._tokens = tokens
        self._rules: list[str] = []
        self._marks: dict[str, str] = {}

    def text(self, start: str) -> str:
        return "\n".join([f"start: {start}", *self._rules])

    def add(self, *rules: str) -> None:
        self._rules += rules

    def literal(self, text: str) -> str:
        """Items for `text`, with the markers in it as tokens or as text."""
        known = [marker for marker in self._tokens if marker in text]
        if not known:
            return json.dumps(text, ensure_ascii=False) if text else ""
        parts = re.split("(" + "|".join(map(re.escape, known)) + ")", text)
        return " ".join(
            self._mark(part) if part in self._tokens else json.dumps(part, ensure_ascii=False)
            for part in parts
            if part
        )

    def _mark(self, marker: str) -> str:
        rule = self._marks.get(marker)
        if rule is None:
            rule = self._marks[marker] = f"mark_{len(self._marks)}"
            self.add(f"{rule}: {json.dumps(marker)} | <[{self._tokens[marker]}]>")
        return rule

    def up_to(self, name: str, marker: str) -> str:
        """A rule for any text, `marker` at its end, and none before it."""
        self.add(f"{name}_lazy[lazy]: {_ANY} {json.dumps(marker, ensure_ascii=False)}")
        if marker not in self._tokens:
            return f"{name}_lazy"
        self.add(f"{name}: {name}_lazy | {_ANY} <[{self._tokens[marker]}]>")
        return name

    # --- parts of an answer --------------------------------------------------------------------

    def thought(self, reasoning: str, *, thinking: bool) -> str:
        """What comes before an answer; empty where nothing does."""
        if reasoning == HARMONY:
            head = self.literal("<|channel|>analysis<|message|>")
            rest = self.up_to("thought_rest", "<|end|>")
            self.add(f"thought: {head} {rest} {self.literal('<|start|>assistant')}")
            return "thought*"
        tag = TAGS.get(reasoning)
        if tag is None:
            return ""
        self.add(f"thought_end: {self.up_to('thought_rest', tag.end)} {_SPACE}")
        if thinking:
            return "thought_end"
        self.add(f"thought: {_SPACE} {self.literal(tag.begin)} thought_end")
        return "thought?"

    def answer(self, reasoning: str, items: str) -> str:
        """An answer in the place where the model writes it."""
        if reasoning != HARMONY:
            return items
        return f"{self.literal('<|channel|>final<|message|>')} {items}"

    def calls(
        self,
        form: Format,
        functions: Sequence[Mapping[str, Any]],
        rules: ToolRules,
        *,
        beside_json: bool,
    ) -> str:
        """The rule of one call or more; `calls_rest` is the same behind the format's trigger.

        beside_json: the answer may be other JSON instead.
        """
        every: list[str] = []
        first: list[str] = []
        """As `every`, behind the format's trigger. The beginning is one literal: a lexer that
        has to choose between it and free text looks at whole ones."""
        for number, function in enumerate(functions):
            values = f"arguments_{number}"
            self.add(*arguments.rules(function, values, form.arguments, param=rules.param))
            before, _, after = form.call.replace(NAME, function["name"]).partition(ARGUMENTS)
            rest = f"{values} {self.literal(after)}"
            begin = (form.first + before)[len(form.trigger) :]
            every.append(f"{self.literal(before)} {rest}")
            if beside_json and not form.trigger:
                first.append(f"{_in_tokens(begin)} {rest}")
            else:
                first.append(f"{self.literal(begin)} {rest}")
        self.add("call: " + " | ".join(every), "first_call: " + " | ".join(first))
        more = ""
        if rules.parallel and form.parallel:
            more = f"({self.literal(form.between)} call){{0,{MAX_CALLS - 1}}}"
        self.add(f"calls_rest: first_call {more} {self.literal(form.last)}")
        self.add(f"calls: {self.literal(form.trigger)} calls_rest")
        return "calls"

    def text_or_calls(self, form: Format) -> str:
        """Free text, with calls at its end if any; behind a trigger nothing else may follow."""
        if not form.trigger:
            # Nothing marks a call but its beginning: other text may not begin like one.
            begin = r"\s*\[\s*[\w.]+\(" if form.first else r'\s*\{\s*"(name|type|function)"'
            self.add(f"PLAIN: {_ANY} & ~/{begin}(?s:.*)/")
            return "(calls | PLAIN)"
        inside = re.escape(form.trigger).replace("/", "\\/")
        self.add(f"PLAIN: {_ANY} & ~/(?s:.*){inside}(?s:.*)/")
        return f"({self.up_to('head', form.trigger)} calls_rest | PLAIN)"


def constraint(
    form: Format | None,
    functions: Sequence[Mapping[str, Any]],
    rules: ToolRules,
    answer: Constraint | None,
    *,
    reasoning: str,
    thinking: bool,
    tokens: Mapping[str, int],
) -> Constraint | None:
    """What holds an answer to calls of `functions` and to `answer`, in the format of the model.

    form: None without tools. reasoning: empty where the model is not to think. None where nothing
    is to be enforced; `answer` itself where nothing comes before it.
    """
    grammar = Grammar(tokens)
    items = None if answer is None else json_answer(answer)
    if form is None and (items is None or not reasoning):
        return answer
    before = grammar.thought(reasoning, thinking=thinking)
    if form is None:
        assert answer is not None
        after = grammar.answer(reasoning, items or "")
        return Constraint("grammar", grammar.text(f"{before} {after}"), answer.param)
    calls = grammar.calls(form, functions, rules, beside_json=items is not None)
    native = form is FORMATS[HARMONY]
    if not native:
        # In harmony any other format's calls are a part of the answer.
        calls = grammar.answer(reasoning, calls)
    if rules.required:
        after = calls
    elif items is not None:
        after = f"({calls} | {grammar.answer(reasoning, items)})"
    elif native:
        after = f"({calls} | {grammar.answer(reasoning, _ANY)})"
    else:
        after = grammar.answer(reasoning, grammar.text_or_calls(form))
    return Constraint("grammar", grammar.text(f"{before} {after}"), rules.param)


def _in_tokens(text: str) -> str:
    """Items for JSON text as a grammar of JSON has them: each of its tokens by itself."""
    parts = re.findall(r'"[^"]*"|: |, |[^":,]+', text)
    return " ".join(json.dumps(part, ensure_ascii=False) for part in parts)


def json_answer(constraint: Constraint) -> str | None:
    """Items for an answer under `constraint`; None where it cannot be a part of a grammar."""
    match constraint.kind:
        case "json_object":
            return "%json " + json_style.with_options('{"type": "object"}')
        case "json_schema":
            return "%json " + json_style.with_options(constraint.value)
        case "choice":
            choices = json.loads(constraint.value)
            return "(" + " | ".join(json.dumps(one, ensure_ascii=False) for one in choices) + ")"
        case "regex":
            from llguidance import regex_to_lark  # an engine's; the gateway has no use for it

            return f"/{regex_to_lark(constraint.value, 'dws')}/"
        case "grammar":
            return None
