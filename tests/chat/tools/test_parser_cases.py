"""What single families write, and what models make of it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.chat.tools.reading import every_way
from tests.chat.tools.written import written


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
    for recipient in (
        " to=functions.now<|channel|>commentary json",
        "<|start|>assistant to=functions.now<|channel|>commentary json",
        "<|channel|>commentary to=functions.now <|constrain|>json",
    ):
        assert every_way("harmony", recipient + call) == ("", "", [("now", '{"a": 1}')])
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
        # Half of a surrogate pair, which has no encoding of its own.
        ("qwen3-coder", '<function=now><parameter=a>"\\ud83d"</parameter></function>',
         {"a": "\ud83d"}),
        ("pythonic", "[now(a='\\ud83d')]", {"a": "\ud83d"}),
        ("gemma4", '<|tool_call>call:now{a:"\\ud83d"}<tool_call|>', {"a": "\ud83d"}),
        ("glm", "<tool_call>now</tool_call>", {}),
        ("hermes", '<tool_call>[{"name": "now", "arguments": {}}]</tool_call>', {}),
        ("minimax-m2", "<minimax:tool_call><invoke name=now></invoke></minimax:tool_call>", {}),
        ("deepseek-v3.2", '<｜DSML｜function_calls><｜DSML｜invoke name="now"><｜DSML｜parameter '
         'name="a" string="true">1</｜DSML｜parameter></｜DSML｜invoke>', {"a": "1"}),
        ("kimi-k2", "<|tool_call_begin|>now:7<|tool_call_argument_begin|>{}<|tool_call_end|>", {}),
        ("internlm", '<|action_start|><|plugin|>{"name": "now", "parameters": {}}', {}),
        ("gemma4", '<|tool_call>call:now{a:[1,<|"|>x, }<|"|>,{b:true}],"c":"d",e:None}<tool_call|>',
         {"a": [1, "x, }", {"b": True}], "c": "d", "e": None}),
        ("gemma4", "<|tool_call>call:now{}", {}),
        ("functiongemma", "<start_function_call>call:now{a:<escape>1<escape>,b:soon}"
         "<end_function_call>", {"a": "1", "b": "soon"}),
        ("pythonic", "<|python_start|>[now(a=[True, null], b={'c': -1.5})]<|python_end|>",
         {"a": [True, None], "b": {"c": -1.5}}),
        ("pythonic", '[now(from=\'a, b\', x-y="\\/\\ud83d\\ude42",)]',
         {"from": "a, b", "x-y": "/🙂"}),
    ],
)  # fmt: skip
def test_what_models_make_of_their_format(form: str, text: str, arguments: Any) -> None:
    """Keys in another order, arguments as text or left out, ends forgotten: still one call."""
    content, _, calls = every_way(form, text)

    assert content == ""
    assert [(name, json.loads(value)) for name, value in calls] == [("now", arguments)]


def test_tagged_arguments_have_their_schemas_types() -> None:
    """A string stays one although it looks like a number; what is no JSON becomes a string."""
    values = {"city": "12", "days": "12", "other": "so", "flag": "True"}
    for form in ("qwen3-coder", "glm", "seed-oss", "minimax-m2"):
        _, _, [(_, arguments)] = every_way(form, written(form, ("get_weather", values)))
        assert json.loads(arguments) == {"city": "12", "days": 12, "other": "so", "flag": True}
