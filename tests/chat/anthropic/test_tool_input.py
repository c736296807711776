"""Arguments of tools: whatever is given out can be closed to JSON."""

from __future__ import annotations

import json

import pytest

from tricorn.chat.anthropic.tool_input import ToolInput

TEXTS = [
    "{}",
    ' { "a" : 1 } ',
    '{"a": 1, "b": [1, 2.5e3, -0.1, true, null, {"c": "d"}], "e": {}}',
    '{"x": "q\\"\\\\ \\u00e9\\ud83d\\ude00 \\n", "y": [[], ["z"]], "k\\"ey": {"n": 12}}',
    '{"text": "世界 👋, {not} [json]: \\"1\\"", "more": false}',
]


def given(text: str, pieces: int = 1) -> str:
    """All that comes of `text`, in pieces of that many characters."""
    tool_input = ToolInput()
    parts = [text[at : at + pieces] for at in range(0, len(text), pieces)]
    return "".join(map(tool_input.feed, parts)) + tool_input.close()


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("pieces", [1, 2, 7, 1000])
def test_whole_arguments_are_unchanged(text: str, pieces: int) -> None:
    """However they are cut into pieces, they mean the same."""
    assert json.loads(given(text, pieces)) == json.loads(text)


@pytest.mark.parametrize("text", TEXTS)
def test_cut_anywhere_it_is_an_object(text: str) -> None:
    """At every character: an object, with no value that is not a part of the whole one's."""
    whole = json.loads(text)
    for end in range(len(text) + 1):
        cut = json.loads(given(text[:end]))
        assert isinstance(cut, dict)
        for key, value in cut.items():
            if not isinstance(value, str | list | dict):
                assert value == whole[key]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ('{"city": "Os', {"city": "Os"}),
        ('{"city": "Oslo", "da', {"city": "Oslo"}),
        ('{"city": "Oslo", "days": 1', {"city": "Oslo"}),
        ('{"a": [{"b": "c', {"a": [{"b": "c"}]}),
        ('{"smile": "a\\ud83d', {"smile": "a"}),
        ("", {}),
    ],
)
def test_what_is_left_of_a_cut(text: str, wanted: object) -> None:
    """Texts are kept as far as they go; a number that might go on is not."""
    assert json.loads(given(text)) == wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ('{"a": "one\ntwo\t"}', {"a": "one\ntwo\t"}),
        ('{"a": "\\d+\\(", "b": "\\\\d"}', {"a": "\\d+\\(", "b": "\\d"}),
        ('{"a": [1,], "b": 2,}', {"a": [1], "b": 2}),
        ('{"a": 1} and more', {"a": 1}),
        ('{"a": 1, b: 2}', {"a": 1}),
        ("{'a': 1}", {}),
        ('{"a": NaN}', {}),
        ("[1]", {}),
        ("Oslo", {}),
    ],
)
def test_what_is_no_json(text: str, wanted: object) -> None:
    """Line ends and backslashes are mended; from the first other fault on it is left out."""
    assert json.loads(given(text)) == wanted
    assert json.loads(given(text, 1000)) == wanted


def test_texts_are_not_held_back() -> None:
    """A string comes as it grows."""
    tool_input = ToolInput()
    assert tool_input.feed('{"code": "ab') == '{"code": "ab'
    assert tool_input.feed("cd") == "cd"
    assert tool_input.feed('", "n": 1') == '"'
    assert tool_input.feed("2}") == ', "n": 12}'
    assert tool_input.close() == ""
