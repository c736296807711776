"""Chains of beginnings: a follow-up turn's begins with that of the turn before."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tricorn.chat import prefix_chain
from tricorn.chat.prefix_chain import of_chat, of_text, of_tokens
from tricorn.engines.request import ChatPrompt, Image

TEXT = st.text(max_size=40)
CALL: Any = {"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
MESSAGES: Any = st.one_of(
    st.fixed_dictionaries({"role": st.sampled_from(["system", "user"]), "content": TEXT}),
    st.fixed_dictionaries({"role": st.just("assistant"), "content": st.none() | TEXT}),
    st.just({"role": "assistant", "content": None, "tool_calls": [CALL]}),
    st.fixed_dictionaries({"role": st.just("tool"), "content": TEXT, "tool_call_id": TEXT}),
    st.builds(
        lambda text: {"role": "user", "content": [{"type": "text", "text": text}]},
        TEXT,
    ),
)
USER: Any = {"role": "user", "content": "Hi"}
PICTURE: Any = {"role": "user", "content": [{"type": "text", "text": "What?"}, {"type": "image"}]}


def chat(*messages: Any, **more: Any) -> ChatPrompt:
    return ChatPrompt(messages=list(messages), **more)


@given(st.lists(MESSAGES, min_size=1, max_size=8), st.lists(MESSAGES, max_size=4))
def test_a_follow_up_turn_begins_as_the_turn_before(earlier: list[Any], more: list[Any]) -> None:
    first, then = of_chat(chat(*earlier), "m"), of_chat(chat(*earlier, *more), "m")
    assert len(first) == len(earlier)
    assert then[: len(first)] == first
    assert len(then) == len(earlier) + len(more)
    assert all(0 <= link < 2**63 for link in then)


@pytest.mark.parametrize("length", [1, 24, 25, 28, 119, 120, 135, 136, 503, 504, 505, 2000])
def test_so_does_a_long_one(length: int) -> None:
    """Though not every message has a link any more, and the last ones none."""
    messages = [{"role": "user", "content": str(number)} for number in range(2000)]
    whole = of_chat(chat(*messages), "m")
    part = of_chat(chat(*messages[:length]), "m")
    assert whole[: len(part)] == part
    assert len(part) == len([number for number in prefix_chain._LINKED if number <= length])
    assert len(whole) == 72
    assert len(set(whole)) == 72


@pytest.mark.parametrize(
    "other",
    [
        chat({"role": "user", "content": "Ho"}, USER),
        chat({"role": "system", "content": "Hi"}, USER),
        chat(USER | {"name": "n"}, USER),
        chat(USER, USER, tools=[CALL]),
        chat(USER, USER, template_kwargs={"enable_thinking": False}),
        chat({"role": "user", "content": "Hi" * 9000}, USER),
        chat(PICTURE, USER, images=[Image(b"png")]),
    ],
)
def test_what_differs_at_the_beginning_differs_from_there_on(other: ChatPrompt) -> None:
    assert not set(of_chat(other, "m")) & set(of_chat(chat(USER, USER), "m"))


def test_models_adapters_pictures_and_tools_count() -> None:
    assert of_chat(chat(USER), "m") != of_chat(chat(USER), "m:adapter")
    one, two = (of_chat(chat(PICTURE, images=[Image(data)]), "m") for data in (b"1", b"2"))
    assert one != two
    described: Any = {"type": "function", "function": {"name": "f", "description": "d"}}
    assert of_chat(chat(USER, tools=[CALL]), "m") != of_chat(chat(USER, tools=[described]), "m")


def test_the_middle_of_a_long_message_does_not_count() -> None:
    """So that no message takes long; its length does."""
    long = "a" * 500_000
    changed = long[:250_000] + "b" + long[250_001:]
    same = of_chat(chat({"role": "user", "content": changed}), "m")
    assert same == of_chat(chat({"role": "user", "content": long}), "m")
    assert same != of_chat(chat({"role": "user", "content": long + "a"}), "m")


def test_they_are_the_same_in_every_process() -> None:
    code = (
        "from tricorn.chat.prefix_chain import of_chat, of_text, of_tokens\n"
        "from tricorn.engines.request import ChatPrompt\n"
        "chat = ChatPrompt(messages=[{'role': 'user', 'content': 'Hi'}], "
        "template_kwargs={'b': 1, 'a': 2})\n"
        "print(of_chat(chat, 'm') + of_text('x' * 1024, 'm') + of_tokens([5] * 256, 'm'))"
    )
    runs = [
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(filter(None, sys.path))},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert runs[0] == runs[1]
    here = of_chat(chat(USER, template_kwargs={"a": 2, "b": 1}), "m")
    assert runs[0].startswith(f"({here[0]}, ")


@given(TEXT, st.integers(0, 5000), st.integers(0, 5000))
def test_a_longer_text_begins_as_the_shorter(salt: str, length: int, more: int) -> None:
    text = "".join(f"{salt}{number} " for number in range(length + more))[: length + more]
    first, then = of_text(text[:length], "m"), of_text(text, "m")
    assert then[: len(first)] == first
    if len(text) == length + more:
        assert len(then) == len([n for n in prefix_chain._LINKED if n <= len(text) // 1024])
    ids = [ord(character) for character in text]
    assert of_tokens(ids, "m")[: length // 256] == of_tokens(ids[:length], "m")


def test_texts_that_differ_in_a_block_differ_from_there_on() -> None:
    text = "a" * 5000
    other = text[:2000] + "b" + text[2001:]
    ours, theirs = of_text(text, "m"), of_text(other, "m")
    assert [one == two for one, two in zip(ours, theirs, strict=True)] == [True] + [False] * 3
    assert of_text(text, "m:a") != ours
    assert of_text("a" * 1023, "m") == of_tokens([1] * 255, "m") == ()
