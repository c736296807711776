"""Every format of tool calls: what is read, however the text is cut into pieces."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tricorn.chat.pieces import CallPart, Content, Piece, Thought
from tricorn.chat.tools.formats import FORMATS

TOOLS: list[dict[str, Any]] = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
            },
        },
    },
    {"type": "function", "function": {"name": "now"}},
]
OSLO = ("get_weather", {"city": "Oslo", "days": 2})
QUOTED = ("get_weather", {"city": 'a "b" } \\ é\n', "days": 1})
NOW: tuple[str, dict[str, Any]] = ("now", {})


def joined(pieces: Sequence[Piece]) -> tuple[str, str, list[tuple[str, str]]]:
    """(content, thoughts, calls) that the pieces are parts of."""
    content = thoughts = ""
    calls: list[tuple[str, str]] = []
    for piece in pieces:
        match piece:
            case Content(text):
                content += text
            case Thought(text):
                thoughts += text
            case CallPart(number, str(name), arguments):
                assert number == len(calls), pieces
                calls.append((name, arguments))
            case CallPart(number, None, arguments):
                assert number == len(calls) - 1, pieces
                calls[-1] = (calls[-1][0], calls[-1][1] + arguments)
    return content, thoughts, calls


def read(form: str, chunks: Sequence[str], *, cut: bool = False) -> Any:
    parser = FORMATS[form].parser(TOOLS)
    pieces = [piece for chunk in chunks for piece in parser.feed(chunk)]
    return joined(pieces + parser.finish(cut=cut))


def every_way(form: str, text: str, *, cut: bool = False) -> Any:
    """What is read of the text in one piece; the same must come of it however it is cut."""
    whole = read(form, [text], cut=cut)
    assert read(form, list(text), cut=cut) == whole
    for at in range(1, len(text)):
        assert read(form, [text[:at], text[at:]], cut=cut) == whole, text[:at]
    return whole


def hermes(*calls: Any) -> str:
    return "\n".join(
        f"<tool_call>\n{json.dumps({'name': n, 'arguments': a})}\n</tool_call>" for n, a in calls
    )


def deepseek(*calls: Any) -> str:
    each = "\n".join(
        f"<｜tool▁call▁begin｜>function<｜tool▁sep｜>{n}\n```json\n{json.dumps(a)}\n```<｜tool▁call▁end｜>"
        for n, a in calls
    )
    return f"<｜tool▁calls▁begin｜>{each}<｜tool▁calls▁end｜>"


def deepseek_v31(*calls: Any) -> str:
    each = "".join(
        f"<｜tool▁call▁begin｜>{n}<｜tool▁sep｜>{json.dumps(a)}<｜tool▁call▁end｜>"
        for n, a in calls
    )
    return f"<｜tool▁calls▁begin｜>{each}<｜tool▁calls▁end｜>"


def mistral(*calls: Any) -> str:
    return "".join(f"[TOOL_CALLS]{n}[ARGS]{json.dumps(a)}" for n, a in calls)


def mistral_old(*calls: Any) -> str:
    return "[TOOL_CALLS] " + json.dumps([{"name": n, "arguments": a, "id": "x"} for n, a in calls])


def qwen(*calls: Any) -> str:
    def one(name: str, arguments: dict[str, Any]) -> str:
        inner = "".join(f"<parameter={k}>\n{v}\n</parameter>\n" for k, v in arguments.items())
        return f"<tool_call>\n<function={name}>\n{inner}</function>\n</tool_call>"

    return "\n".join(one(*call) for call in calls)


def glm(*calls: Any) -> str:
    def one(name: str, arguments: dict[str, Any]) -> str:
        inner = "".join(
            f"<arg_key>{k}</arg_key>\n<arg_value>{v}</arg_value>\n" for k, v in arguments.items()
        )
        return f"<tool_call>{name}\n{inner}</tool_call>"

    return "\n".join(one(*call) for call in calls)


def pythonic(*calls: Any) -> str:
    each = (f"{n}({', '.join(f'{k}={v!r}' for k, v in a.items())})" for n, a in calls)
    return "[" + ", ".join(each) + "]"


def llama(*calls: Any) -> str:
    return "; ".join(json.dumps({"name": n, "parameters": a}) for n, a in calls)


def llama_tagged(*calls: Any) -> str:
    return "<|python_tag|>" + llama(*calls)


def harmony(call: Any, *more: Any) -> str:
    name, arguments = call
    text = json.dumps(arguments)
    return f"<|channel|>commentary to=functions.{name} <|constrain|>json<|message|>{text}<|call|>"


WRITERS = [
    ("hermes", hermes), ("emulated", hermes), ("deepseek", deepseek),
    ("deepseek-v3.1", deepseek_v31), ("mistral", mistral), ("mistral-old", mistral_old),
    ("qwen3-coder", qwen), ("glm", glm), ("pythonic", pythonic), ("llama", llama),
    ("llama", llama_tagged), ("harmony", harmony),
]  # fmt: skip


@pytest.mark.parametrize(("form", "write"), WRITERS)
def test_calls_are_read(form: str, write: Any) -> None:
    """One call and several, with awkward arguments and with none; nothing is content."""
    for calls in ([OSLO], [QUOTED], [NOW], [OSLO, QUOTED, NOW]):
        content, _, read_calls = every_way(form, write(*calls))
        expected = calls[:1] if form == "harmony" else calls
        assert [(name, json.loads(text)) for name, text in read_calls] == expected
        assert content == ""


@pytest.mark.parametrize(("form", "write"), WRITERS)
def test_text_in_front_of_a_call(form: str, write: Any) -> None:
    """Formats with a marker may speak first; white space beside the marker is not content."""
    if write in (pythonic, llama, harmony):
        return
    content, _, calls = every_way(form, "Let me see.\n\n" + write(OSLO))

    assert content == "Let me see."
    assert [name for name, _ in calls] == ["get_weather"]


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
    unmarked = write in (pythonic, llama)
    for length in range(1, len(text)):
        content, _, calls = every_way(form, text[:length], cut=True)
        if not unmarked and length > text.find(">" if "<" in text else "]"):
            assert content == "", text[:length]
        for name, arguments in calls:
            assert name == "get_weather"
            assert '{"city": "Oslo", "days": 2}'.startswith(arguments.removesuffix("}"))


def test_harmony_channels() -> None:
    """Thoughts, a preamble, a call and an answer are told apart."""
    text = (
        "<|channel|>analysis<|message|>Hm, <b>.<|end|><|start|>assistant<|channel|>commentary"
        "<|message|>Wait.<|end|><|start|>assistant<|channel|>final<|message|>Sunny."
    )
    assert every_way("harmony", text) == ("Wait.Sunny.", "Hm, <b>.", [])
    for end in ("<|return|>", "<|end|>"):
        assert every_way("harmony", text + end) == ("Wait.Sunny.", "Hm, <b>.", [])


def test_harmony_recipients() -> None:
    """A call's recipient stands in front of the channel or behind it."""
    call = '<|message|>{"a": 1}<|call|>'
    for head in (
        " to=functions.now<|channel|>commentary json",
        "<|start|>assistant to=functions.now<|channel|>commentary json",
        "<|channel|>commentary to=functions.now <|constrain|>json",
    ):
        assert every_way("harmony", head + call) == ("", "", [("now", '{"a": 1}')])
    text = " to=functions.now, I think"
    assert every_way("harmony", text) == (text, "", [])


@pytest.mark.parametrize(
    ("form", "text", "arguments"),
    [
        ("hermes", '<tool_call>{"arguments": {"days": 1}, "name": "now"}</tool_call>', {"days": 1}),
        ("hermes", '<tool_call>{"name": "now", "arguments": "{\\"a\\": 1}"}</tool_call>', {"a": 1}),
        ("hermes", '<tool_call>{"name": "now", "arguments": null}</tool_call>', {}),
        ("hermes", '<tool_call>{"name": "now"}</tool_call>', {}),
        ("hermes", '<tool_call>{"name": "now", "arguments": {}</tool_call>', {}),
        ("hermes", '<tool_call>{"name": "now", "arguments": {}}', {}),
        ("llama", '{"type": "function", "name": "now", "parameters": {}}', {}),
        ("mistral", "[TOOL_CALLS]now[CALL_ID]abc[ARGS]{}", {}),
        ("mistral-old", '[TOOL_CALLS][{"name": "now", "arguments": {}}]', {}),
        ("qwen3-coder", "<function=now>\n</function>", {}),
        ("qwen3-coder", "<function=now><parameter=a>1\n</function>", {"a": 1}),
        ("qwen3-coder", "<tool_call><function=now><parameter=a>b", {"a": "b"}),
        ("glm", "<tool_call>now</tool_call>", {}),
        ("pythonic", "<|python_start|>[now(a=[True, null], b={'c': -1.5})]<|python_end|>",
         {"a": [True, None], "b": {"c": -1.5}}),
    ],
)  # fmt: skip
def test_what_models_make_of_their_format(form: str, text: str, arguments: Any) -> None:
    """Keys in another order, arguments as text or left out, ends forgotten: still one call."""
    content, _, calls = every_way(form, text)

    assert content == ""
    assert [(name, json.loads(value)) for name, value in calls] == [("now", arguments)]


def test_tagged_arguments_have_their_schemas_types() -> None:
    """A string stays one although it looks like a number; what is no JSON becomes a string."""
    text = qwen(("get_weather", {"city": "12", "days": "12", "other": "so", "flag": "True"}))
    _, _, [(_, arguments)] = every_way("qwen3-coder", text)

    assert json.loads(arguments) == {"city": "12", "days": 12, "other": "so", "flag": True}


PARTS = [
    "<tool_call>", "</tool_call>", "[TOOL_CALLS]", "[ARGS]", "<function=", "<parameter=", ">", "\n",
    "{", "}", "[", "]", '"', '"name"', ": ", ", ", "now", "get_weather", '"arguments"', "(", ")",
    "=", "\\", "a", " ", "1", "<|python_tag|>", "<arg_key>", "</arg_key>", "<arg_value>", ";",
    "</arg_value>", "</function>", "</parameter>", "<｜tool▁calls▁begin｜>",
    "<｜tool▁call▁begin｜>", "<｜tool▁sep｜>", "```json\n", "```", "<｜tool▁call▁end｜>",
    "<｜tool▁calls▁end｜>", "é", "'",
    "<|channel|>", "<|message|>", "<|end|>", "<|start|>", "assistant", "final", "analysis",
    " to=functions.now", "<|constrain|>", "<|call|>", '"parameters"', '{"name": "now", ',
]  # fmt: skip


@settings(deadline=None, max_examples=400)
@given(
    form=st.sampled_from(list(FORMATS)),
    parts=st.lists(st.sampled_from(PARTS), max_size=14),
    cuts=st.lists(st.integers(0, 120), max_size=6),
    cut=st.booleans(),
)
def test_whatever_comes_cutting_changes_nothing(
    form: str, parts: list[str], cuts: list[int], cut: bool
) -> None:
    """Nonsense made of markup is read the same in any pieces, without an error."""
    text = "".join(parts)
    whole = read(form, [text], cut=cut)
    places = [0, *sorted({min(at, len(text)) for at in cuts}), len(text)]
    chunks = [text[a:b] for a, b in pairwise(places)]

    assert read(form, list(text), cut=cut) == whole
    assert read(form, chunks, cut=cut) == whole
