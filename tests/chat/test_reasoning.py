"""Thoughts split from answers, wherever the text is cut."""

from __future__ import annotations

import pytest
from tests.chat.tools.reading import joined

from tricorn.chat.answer_reader import AnswerReader
from tricorn.chat.pieces import Reading
from tricorn.chat.reasoning import TAGS, find_format, marks, state


def every_way(reading: Reading, text: str, *, cut: bool = False) -> tuple[str, str]:
    """(content, thoughts), the same in one piece, in two at every place, and by characters."""
    found = set()
    for chunks in ([text], list(text), *([text[:at], text[at:]] for at in range(1, len(text)))):
        reader = AnswerReader(reading, [])
        pieces = [piece for chunk in chunks for piece in reader.feed(chunk)]
        content, thoughts, _ = joined(pieces + reader.finish(cut=cut))
        found.add((content, thoughts))
    [only] = found
    return only


@pytest.mark.parametrize("name", TAGS)
def test_thoughts(name: str) -> None:
    """In front of the answer, with the white space around them; begun by the prompt or not."""
    begin, end = TAGS[name][:2]
    free, inside = Reading("", name), Reading("", name, True)
    assert every_way(free, f"{begin}\nWell, <b>.\n{end}\n\nYes.\n") == ("Yes.\n", "Well, <b>.")
    assert every_way(inside, f"Well.\n{end}\n\nYes.") == ("Yes.", "Well.")
    assert every_way(free, f"{begin}{end}Yes.") == ("Yes.", "")
    assert every_way(inside, "Well, cut", cut=True) == ("", "Well, cut")
    assert every_way(free, f"{begin}Well{end[:-1]}") == ("", f"Well{end[:-1]}")


@pytest.mark.parametrize("name", TAGS)
def test_text_without_thoughts(name: str) -> None:
    """Is the answer, also where it looks like the beginning of one or has the tags inside."""
    begin, end = TAGS[name][:2]
    for text in ("", "Yes.", " \n", begin[:-1], f"A {begin}b{end} c", "<", f"x{end}", "\n<b>"):
        assert every_way(Reading("", name), text) == (text, "")


@pytest.mark.parametrize("name", [name for name in TAGS if TAGS[name].answer])
def test_answers_in_tags(name: str) -> None:
    """What some families put around the answer is not of it; elsewhere the same is text."""
    begin, end, answer = TAGS[name][:3]
    assert answer is not None
    first, last = answer
    free, inside = Reading("", name), Reading("", name, True)
    assert every_way(free, f"{begin}Hm.{end}\n{first}\nYes.\n{last}\n") == ("Yes.", "Hm.")
    assert every_way(inside, f"Hm.{end}{first}Yes.{last}") == ("Yes.", "Hm.")
    assert every_way(free, f"{first}Yes.{last}") == ("Yes.", "")
    assert every_way(free, f"{first}A {last} b {last}") == (f"A {last} b", "")
    assert every_way(free, f"{first}Yes, cut ", cut=True) == ("Yes, cut ", "")
    for text in (f"Yes {first}b{last}", f"{first[:-1]}", f"b {last}"):
        assert every_way(free, text) == (text, "")


def test_formats_of_templates() -> None:
    """Known by the marks that a template writes."""
    assert find_format("{{ '<think>' }}{% if '</think>' in x %}") == "think"
    assert find_format("[THINK][/THINK]") == "mistral"
    assert find_format("<seed:think></seed:think>") == "seed"
    assert find_format("<|channel|>final") == "harmony"
    assert find_format("<|channel>thought\n<channel|>") == "gemma"
    assert find_format("<|START_THINKING|>x<|END_THINKING|><|START_RESPONSE|>") == "cohere"
    assert find_format("<|END_THINKING|><|START_TEXT|>") == "cohere-text"
    assert find_format("◁think▷◁/think▷") == "kimi"
    assert find_format("<think></think> and <response></response>") == "granite"
    assert find_format("<think>\n\n</think>\n<answer>\n</answer>") == "hunyuan"
    assert find_format("</think> <response>{{ result }}</response>") == "think"
    assert find_format("{{ messages }}") == ""


def test_the_prompts_end() -> None:
    """Inside a thought, behind one, or neither."""
    assert state("think", "<|assistant|><think>\n") is True
    assert state("think", "<|assistant|><think>\n\n</think>\n\n") is None
    assert state("think", "<think>a</think>b<|assistant|>") is False
    assert state("harmony", "<|start|>assistant") is False
    assert state("gemma", "<|turn>model\n<|channel>thought\n") is True
    assert state("gemma", "<|turn>model\n<|channel>thought\n<channel|>") is None
    assert state("", "<think>") is False


def test_where_stop_strings_count() -> None:
    """Behind the thought: what it begins with, unless the prompt did, and what it ends with."""
    assert marks("think", thinking=False) == ("<think>", "</think>")
    assert marks("think", thinking=True) == ("", "</think>")
    assert marks("", thinking=False) is None
