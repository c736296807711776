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
from tricorn.chat.tools.format import ARGUMENTS, NAME, NUMBER, Format
from tricorn.chat.tools.formats import FORMATS
from tricorn.chat.tools.rules import ToolRules
from tricorn.engines import json_style
from tricorn.engines.request import Constraint

MAX_CALLS = 16
"""Calls in one answer; a small model that may go on would go on for ever."""

_SPACE = r"/[ \t\r\n]{0,4}/"
_ANY = "/(?s:.*)/"
_DIGITS = "/[0-9]{1,3}/"


class Grammar:
    """tokens: marker → its id, for markers that are a token of their own in the model's vocabulary;
    a control token is not the same as its text."""

    def __init__(self, tokens: Mapping[str, int]) -> None:
        self._tokens = tokens
        self._rules: list[str] = []

    def text(self, start: str) -> str:
        return "\n".join([f"start: {start}", *self._rules])

    def add(self, *rules: str) -> None:
        self._rules += rules

    def literal(self, text: str) -> str:
        """Items for `text`, with the markers in it as tokens or all of it as text.

        Not each marker by itself: a lexer that is to tell this from other text looks at whole
        literals.
        """
        if not text:
            return ""
        whole = json.dumps(text, ensure_ascii=False)
        known = [marker for marker in self._tokens if marker in text]
        if not known:
            return whole
        parts = re.split("(" + "|".join(map(re.escape, known)) + ")", text)
        tokens = " ".join(
            f"<[{self._tokens[part]}]>"
            if part in self._tokens
            else json.dumps(part, ensure_ascii=False)
            for part in parts
            if part
        )
        return f"({whole} | {tokens})"

    def up_to(self, name: str, marker: str) -> str:
        """A rule for any text, `marker` at its end, and none before it."""
        self.add(f"{name}_lazy[lazy]: {_ANY} {json.dumps(marker, ensure_ascii=False)}")
        known = [token for token in self._tokens if token in marker]
        if not known:
            return f"{name}_lazy"
        token = min(known, key=marker.index)
        before, _, rest = marker.partition(token)
        head = f"/(?s:.*){_escaped(before)}/"
        self.add(f"{name}: {name}_lazy | {head} <[{self._tokens[token]}]> {self.literal(rest)}")
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
        if reasoning == HARMONY:
            return f"{self.literal('<|channel|>final<|message|>')} {items}"
        tag = TAGS.get(reasoning)
        if tag is None or tag.answer is None:
            return items
        begin, end = map(self.literal, tag.answer)
        return f"({begin} {_SPACE})? {items} ({_SPACE} {end})?"

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
        first: list[str] = []
        """Behind the format's trigger. A call's beginning is one literal, with what stands between
        calls: a lexer that has to choose between it and free text, or the end of all calls, looks
        at whole ones."""
        further: list[str] = []
        for number, function in enumerate(functions):
            values = f"arguments_{number}"
            self.add(*arguments.rules(function, values, form.arguments, self, param=rules.param))
            before, _, after = form.call.replace(NAME, function["name"]).partition(ARGUMENTS)
            rest = f"{values} {self.literal(after)}"
            begin = (form.first + before)[len(form.trigger) :]
            further.append(f"{self._head(form.between + before)} {rest}")
            if beside_json and not form.trigger:
                first.append(f"{_in_tokens(begin)} {rest}")
            else:
                first.append(f"{self._head(begin)} {rest}")
        self.add("first_call: " + " | ".join(first))
        more = ""
        if rules.parallel and form.parallel:
            self.add("further_call: " + " | ".join(further))
            more = f"further_call{{0,{MAX_CALLS - 1}}}"
        self.add(f"calls_rest: first_call {more} {self.literal(form.last)}")
        self.add(f"calls: {self.literal(form.trigger)} calls_rest")
        return "calls"

    def _head(self, text: str) -> str:
        """Items for what stands before a call's arguments."""
        before, numbered, after = text.partition(NUMBER)
        if not numbered:
            return self.literal(text)
        return f"{self.literal(before)} {_DIGITS} {self.literal(after)}"

    def text_or_calls(self, form: Format) -> str:
        """Free text, with calls at its end if any; behind a trigger nothing else may follow."""
        if not form.trigger:
            # Nothing marks a call but its beginning: other text may not begin like one.
            begin = r"\s*\[\s*[\w.]+\(" if form.first else r'\s*\{\s*"(name|type|function)"'
            self.add(f"PLAIN: {_ANY} & ~/{begin}(?s:.*)/")
            return "(calls | PLAIN)"
        self.add(f"PLAIN: {_ANY} & ~/(?s:.*){_escaped(form.trigger)}(?s:.*)/")
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
    # What cannot be enforced of a schema is passed over in tools, unless they are strict.
    strict = any(function.get("strict") for function in functions)
    param = rules.param if answer is None or strict else answer.param
    return Constraint("grammar", grammar.text(f"{before} {after}"), param)


def _escaped(text: str) -> str:
    """As a part of a regular expression."""
    return re.escape(text).replace("/", "\\/")


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
