"""From token bytes to text that may be shown."""

from __future__ import annotations

import pytest

from tricorn.chat.text import TextStream
from tricorn.engines.request import CallMarks


def run(stream: TextStream, tokens: list[bytes]) -> tuple[str, str | None, list[str]]:
    """All text, the stop string that was met, and the text of each push."""
    shown: list[str] = []
    for token in tokens:
        text, stop = stream.push(token)
        shown.append(text)
        if stop is not None:
            return "".join(shown), stop, shown
    return "".join(shown) + stream.finish(), None, shown


def splits(data: bytes) -> list[list[bytes]]:
    """`data` in one piece, in two at every place, and byte by byte."""
    two = [[data[:at], data[at:]] for at in range(1, len(data))]
    return [[data], *two, [bytes([byte]) for byte in data]]


@pytest.mark.parametrize("text", ["a😀b", "你好,世界", "👩‍👩‍👧é", "plain"])
def test_characters_are_never_cut(text: str) -> None:
    """Wherever tokens split the bytes, each push gives whole characters and all come out."""
    for tokens in splits(text.encode()):
        whole, stop, shown = run(TextStream(), tokens)
        assert (whole, stop) == (text, None)
        assert all("�" not in part for part in shown)


def test_a_character_is_shown_as_soon_as_it_is_complete() -> None:
    """The bytes before the last give nothing, the last gives the character."""
    stream = TextStream()
    pushed = [stream.push(bytes([byte]))[0] for byte in "😀".encode()]
    assert pushed == ["", "", "", "😀"]


def test_invalid_bytes_become_replacement_characters() -> None:
    """A byte that begins no character does not end the stream."""
    assert run(TextStream(), [b"a", b"\xff", b"b"])[0] == "a�b"


def test_half_a_character_at_the_end_is_dropped() -> None:
    """What is no character when the sequence ends is not shown."""
    assert run(TextStream(), [b"a", "😀".encode()[:2]]) == ("a", None, ["a", ""])


@pytest.mark.parametrize("stop", ["STOP", "\n\n", "停止", "aab"])
def test_no_part_of_a_stop_string_leaks(stop: str) -> None:
    """Split at every byte, the text before the stop string comes out and nothing of it."""
    for tokens in splits(f"before{stop}after".encode()):
        stream = TextStream([stop])
        text, met, shown = run(stream, tokens)
        assert (text, met) == ("before", stop)
        assert "".join(shown) == "before"


@pytest.mark.parametrize("text", ["STO", "STOSTOX", "SSTTOO", "S", "STSTSTO", "aabaaab"])
def test_a_false_alarm_loses_nothing(text: str) -> None:
    """Text that only begins like a stop string comes out whole, if late."""
    for tokens in splits(text.encode()):
        assert run(TextStream(["STOP", "aabb"]), tokens)[:2] == (text, None)


def test_an_overlapping_beginning_is_found() -> None:
    """`aab` is found in `aaab`, whose first `a` was a false beginning."""
    for tokens in splits(b"aaabx"):
        assert run(TextStream(["aab"]), tokens)[:2] == ("a", "aab")


def test_only_the_undecided_end_is_held_back() -> None:
    """Held back is the longest end that could begin a stop string, and no more."""
    stream = TextStream(["STOP", "TOAST"])
    assert stream.push(b"see STO") == ("see ", None)
    assert stream.push(b"A") == ("S", None)
    assert stream.push(b"!") == ("TOA!", None)


@pytest.mark.parametrize("stops", [["two", "one"], ["one", "two"]])
def test_the_earliest_of_several_stops_wins(stops: list[str]) -> None:
    """The order in which stop strings are given does not matter."""
    assert run(TextStream(stops), [b"x one two"])[:2] == ("x ", "one")


def test_a_stop_that_is_complete_wins_over_a_longer_one_that_is_not() -> None:
    """A stop inside the beginning of another ends the text when it is complete."""
    assert run(TextStream(["abcd", "bc"]), [b"a", b"b", b"c", b"d"])[:2] == ("a", "bc")


def test_finish_gives_what_was_held_back() -> None:
    """The beginning of a stop string that never came is text; it is given once."""
    stream = TextStream(["STOP"])
    assert stream.push(b"x ST") == ("x ", None)
    assert stream.finish() == "ST"
    assert stream.finish() == ""


def test_stops_pass_while_they_are_not_checked() -> None:
    """With check_stop=False a stop string is text, and one after it still counts."""
    stream = TextStream(["."])
    assert stream.push(b"a.", check_stop=False) == ("a.", None)
    assert stream.push(b"b.") == ("b", ".")


@pytest.mark.parametrize("text", ["<think>a.b</think>c.d", "  <think>.</think>c.d"])
def test_stop_strings_do_not_count_in_a_thought(text: str) -> None:
    """Wherever it is cut: the first stop string behind the thought ends the text."""
    for tokens in splits(text.encode()):
        stream = TextStream(["."], thought=("<think>", "</think>"))
        assert run(stream, tokens)[:2] == (text.removesuffix(".d"), ".")
    for tokens in splits(b"a.b</think>c.d"):
        stream = TextStream(["."], thought=("", "</think>"))
        assert run(stream, tokens)[:2] == ("a.b</think>c", ".")


@pytest.mark.parametrize("text", ["a", "<thin", "<b>", " <think", ""])
def test_an_answer_without_a_thought_is_stopped(text: str) -> None:
    """A beginning that only looks like a thought's changes nothing."""
    for tokens in splits(f"{text}.d".encode()):
        stream = TextStream(["."], thought=("<think>", "</think>"))
        assert run(stream, tokens)[:2] == (text, ".")
    stream = TextStream(["."], thought=("<think>", "</think>"))
    assert run(stream, [text.encode()])[:2] == (text, None)


TAGGED = CallMarks(("<call>",), "</call>")
OPEN = CallMarks(("[CALL]",))
BARE = CallMarks(("[f(", '{"name"'), first=True)


@pytest.mark.parametrize(
    ("calls", "text", "expected"),
    [
        (TAGGED, "a<call>b.c</call>d.e", "a<call>b.c</call>d"),
        (TAGGED, "<call>.</call><call>.</call>.", "<call>.</call><call>.</call>"),
        (TAGGED, "a.b<call>", "a"),
        (TAGGED, "<cal.l>", "<cal"),
        (OPEN, "a[CALL]b.c.", "a[CALL]b.c."),
        (OPEN, "a[CAL].c", "a[CAL]"),
        (BARE, " [ f( a='.')].", " [ f( a='.')]."),
        (BARE, '{"name": "."}', '{"name": "."}'),
        (BARE, '{"nam": "."}', '{"nam": "'),
        (BARE, "[g(.)]", "[g("),
        (BARE, "x [f(.)]", "x [f("),
        (BARE, "[f.", "[f"),
    ],
)
def test_stop_strings_do_not_count_in_calls(calls: CallMarks, text: str, expected: str) -> None:
    """Wherever the text is cut: only those in what the user sees end it."""
    for tokens in splits(text.encode()):
        assert run(TextStream(["."], calls=calls), tokens)[0] == expected
    for tokens in splits(f"<think>.</think>{text}".encode()):
        stream = TextStream(["."], thought=("<think>", "</think>"), calls=calls)
        assert run(stream, tokens)[0] == f"<think>.</think>{expected}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [("<call>a</call>", "<call>a</call>"), ("a <b", "a "), ("a <call", "a "), ("a <", "a ")],
)
def test_a_stop_string_that_begins_like_a_call(text: str, expected: str) -> None:
    """It counts where no call comes."""
    for tokens in splits(text.encode()):
        assert run(TextStream(["<"], calls=TAGGED), tokens)[0] == expected


def test_markup_is_followed_before_stop_strings_count() -> None:
    """A thought that began before `min_tokens` were reached is one after that too."""
    stream = TextStream(["."], thought=("<think>", "</think>"))
    assert stream.push(b"<think>a", check_stop=False) == ("<think>a", None)
    assert stream.push(b".b") == (".b", None)
