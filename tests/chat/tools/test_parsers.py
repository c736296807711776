"""Every format of tool calls: what is read, however the text is cut into pieces."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.chat.tools.reading import cut_at, every_way, read
from tests.chat.tools.written import calls_of, head, shown, written

from tricorn.chat.tools.formats import FORMATS

OSLO = ("get_weather", {"city": "Oslo", "days": 2})
QUOTED = ("get_weather", {"city": 'a "b" } \\ é\n', "days": 1})
NOW: tuple[str, dict[str, Any]] = ("now", {})


def llama(*calls: Any) -> str:
    return "; ".join(json.dumps({"name": n, "parameters": a}) for n, a in calls)


def objects(calls: Any) -> str:
    return json.dumps([{"name": n, "arguments": a, "id": "x"} for n, a in calls])


def actions(calls: Any) -> str:
    return json.dumps([{"tool_name": n, "parameters": a} for n, a in calls])


def pythonic(*calls: Any) -> str:
    each = (f"{n}({', '.join(f'{k}={v!r}' for k, v in a.items())})" for n, a in calls)
    return "[" + ", ".join(each) + "]"


VARIANTS: list[tuple[str, Any]] = [
    ("pythonic", pythonic),
    ("llama", llama),
    ("llama", lambda *calls: "<|python_tag|>" + llama(*calls)),
    ("mistral-old", lambda *calls: "[TOOL_CALLS] " + objects(calls)),
    ("granite", lambda *calls: "<|tool_call|> " + objects(calls)),
    ("granite-3.1", lambda *calls: "<tool_call>\n" + objects(calls) + "\n</tool_call>"),
    ("phi4-mini", lambda *calls: "<|tool_call|>" + objects(calls) + "<|/tool_call|>"),
    ("functools", lambda *calls: "functools " + objects(calls)),
    ("hunyuan", lambda *calls: f"<tool_calls>\n{objects(calls)}\n</tool_calls>"),
    ("minimax-m1", lambda *calls: f"<tool_calls>{objects(calls)}</tool_calls>"),
    ("cohere", lambda *calls: f"<|START_ACTION|>{actions(calls)}<|END_ACTION|>"),
    ("kimi-k2", lambda *calls: written("kimi-k2", *calls).replace("functions.", "")),
    ("minimax-m2", lambda *calls: written("minimax-m2", *calls).replace('name="', "name='")
     .replace('">', "'>").replace(">\n", ">")),
    ("deepseek-v3.2", lambda *calls: written("deepseek-v3.2", *calls)
     .replace(' string="true"', "").replace(' string="false"', "")),
]  # fmt: skip
"""How models write calls too."""
WRITERS = [(form, lambda *calls, form=form: written(form, *calls)) for form in FORMATS] + VARIANTS


@pytest.mark.parametrize(("form", "write"), WRITERS)
def test_calls_are_read(form: str, write: Any) -> None:
    """One call and several, with awkward arguments and with none; nothing is content."""
    for calls in ([OSLO], [QUOTED], [NOW], [OSLO, QUOTED, NOW]):
        content, _, read_calls = every_way(form, write(*calls))
        expected = calls if write is llama or FORMATS[form].parallel else calls[:1]
        assert shown(read_calls)[: len(expected)] == expected
        assert content == ""


MARKED = [form for form in FORMATS if FORMATS[form].trigger and form != "harmony"]


@pytest.mark.parametrize("form", MARKED)
def test_text_in_front_of_a_call(form: str) -> None:
    """Formats with a marker may speak first; white space beside the marker is not content."""
    content, _, calls = every_way(form, "Let me see.\n\n" + written(form, OSLO))

    assert content == "Let me see."
    assert [name for name, _ in calls] == ["get_weather"]


@settings(deadline=None, max_examples=300)
@given(
    form=st.sampled_from(MARKED),
    front=st.text(),
    behind=st.text(),
    city=st.text(),
    days=st.integers(),
    cuts=st.lists(st.integers(0, 400), max_size=8),
)
def test_text_around_calls(
    form: str, front: str, behind: str, city: str, days: int, cuts: list[int]
) -> None:
    """Any text in front of calls and behind them is content, any text may be an argument."""
    calls = [("get_weather", {"city": city, "days": days}), NOW]
    behind = f"So {behind}"
    text = front + written(form, *calls) + behind
    for chunks in ([text], list(text), cut_at(text, cuts)):
        content, thoughts, found = read(form, chunks)
        assert content == front.rstrip(" \t\r\n") + behind
        assert thoughts == ""
        assert shown(found) == calls_of(form, *calls)


LOOKALIKES = [
    "", "  \n", "Hello!", "a < b, b > c", "<tool", "<tool_call>", "<tool_call> is a tag.\n",
    '<tool_call>{"city": 1}</tool_call>', "<tool_call>{", "use [TOOL_CALLS] or [TOOL", "[1, 2]",
    '{"city": "Oslo"}', '{"name": "Ann", "age": 3}', '{"name": "get_weather"}', "{", "{}",
    '{"name', '{"name": "now", "parameters": 3}', "[get_weather", "[other(a=1)]", "<｜tool▁call",
    "[]", "<｜tool▁calls▁begin｜> no", "<function=", "<function=x y>", "<tool_call><function>",
    "<tool_call>two words</tool_call>", "[get_weather(1)]", "[now(a=b)]", '"quoted"', "\\", "<|",
    "<|python", "  {\n", "text\n",
    "[[now()]]", '{"name": "now", "parameters": {}', "<tool_call>\n\n x",
]  # fmt: skip


@pytest.mark.parametrize("form", FORMATS)
def test_beginnings_of_calls_are_text(form: str) -> None:
    """An answer that ends by itself before any tool is named was text, and so is all of it."""
    whole = head(form)
    for length in range(1, len(whole) + 1):
        for behind in ("", " so", "\n"):
            text = whole[:length] + behind
            assert read(form, [text]) == read(form, list(text)) == (text, "", [])


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("text", LOOKALIKES)
def test_plain_text_is_never_swallowed(form: str, text: str) -> None:
    """Text that only looks like a call's beginning is content, to the last character."""
    content, _, calls = every_way(form, text)

    if not calls:
        assert content == text
    else:
        assert (form, text) in [
            ("llama", '{"name": "now", "parameters": {}'),
        ]


@pytest.mark.parametrize(("form", "write"), WRITERS)
def test_a_cut_call_leaks_no_markup(form: str, write: Any) -> None:
    """Cut off anywhere, an answer has the call as far as it got, and never its markup as text."""
    text = write(OSLO)
    trigger = FORMATS[form].trigger
    for length in range(1, len(text)):
        content, _, calls = read(form, [text[:length]], cut=True)
        assert read(form, list(text[:length]), cut=True) == (content, "", calls)
        if trigger and text[:length].startswith(trigger):
            assert content == "", text[:length]
        for name, arguments in calls:
            assert name == "get_weather"
            assert '{"city": "Oslo", "days": 2}'.startswith(arguments.removesuffix("}"))


@pytest.mark.parametrize("form", FORMATS)
def test_nesting_without_end(form: str) -> None:
    """Brackets within brackets, more than any reader goes into, break nothing."""
    deep = "[" * 30_000 + "]" * 30_000
    call = written(form, ("get_weather", {"days": 1})).replace("1", deep)
    for text in (call, head(form) + deep, head(form) + "{" * 30_000, '{"name": ' + deep):
        read(form, [text])


WORDS = [
    ">", "\n", "{", "}", "[", "]", '"', '"name"', ": ", ", ", ",", ":", "now", "get_weather", "(",
    ")", "=", "\\", "a", " ", "1", ";", "é", "'", "```", '"arguments"', '"parameters"', "call:",
    '{"name": "now", ', "final", "analysis", "assistant", "<|end|>", "<|start|>", "<|python_tag|>",
    "🙂", "\u2028", '"\\ud83d"', "'\\ud83d'", "city", "null",
]  # fmt: skip
DROPPING = ("harmony", "pythonic")
"""Formats whose end marks are no text, wherever they stand."""


def parts_of(form: str) -> list[str]:
    """All that the format's own markup is made of."""
    text = written(form, OSLO, NOW)
    found = re.findall(r"<[^>]*>|\[[A-Z_]+\]|[^<\[]+", text)
    return WORDS + found * 3 + [head(form)] * 3 + list(FORMATS[form].markers) * 2


@settings(deadline=None, max_examples=400)
@given(
    written_in=st.sampled_from(list(FORMATS)).flatmap(
        lambda form: st.tuples(
            st.just(form), st.lists(st.sampled_from(parts_of(form)), max_size=14)
        )
    ),
    cuts=st.lists(st.integers(0, 120), max_size=6),
    cut=st.booleans(),
)
def test_whatever_comes_cutting_changes_nothing(
    written_in: tuple[str, list[str]], cuts: list[int], cut: bool
) -> None:
    """Nonsense made of markup is read the same in any pieces, without an error."""
    form, parts = written_in
    text = "".join(parts)
    whole = read(form, [text], cut=cut)

    assert read(form, list(text), cut=cut) == whole
    assert read(form, cut_at(text, cuts), cut=cut) == whole
    content, thoughts, calls = whole
    if not cut and not thoughts and not calls and form not in DROPPING:
        assert content == text
