"""Thoughts, told apart from the answer: `<think>…</think>` and what other families write."""

from __future__ import annotations

from collections.abc import Generator
from typing import NamedTuple

from tricorn.chat.pieces import Content, Piece, Thought
from tricorn.chat.reader import SPACE, Reader, overlap


class Tag(NamedTuple):
    begin: str
    end: str


TAGS = {
    "think": Tag("<think>", "</think>"),
    "mistral": Tag("[THINK]", "[/THINK]"),
    "seed": Tag("<seed:think>", "</seed:think>"),
}
HARMONY = "harmony"
"""Thoughts are messages of their own there; its reader of tool calls reads them too."""


def find_format(template: str) -> str:
    """Which format a chat template writes; empty for none."""
    if "<|channel|>" in template:
        return HARMONY
    for name in ("seed", "mistral", "think"):
        if TAGS[name].end in template:
            return name
    return ""


def state(reasoning: str, prompt: str) -> bool | None:
    """Whether the prompt's end is inside a thought; None where one is closed there already, so
    that the model is not to think."""
    tag = TAGS.get(reasoning)
    if tag is None:
        return False
    tail = prompt[-200:].rstrip()
    if tail.endswith(tag.begin):
        return True
    return None if tail.endswith(tag.end) else False


def marks(reasoning: str, *, thinking: bool) -> tuple[str, str] | None:
    """As `SamplingParams.thought`."""
    if reasoning == HARMONY:
        return "<|channel|>analysis", "<|channel|>final<|message|>"
    tag = TAGS.get(reasoning)
    return None if tag is None else ("" if thinking else tag.begin, tag.end)


class ThoughtReader(Reader):
    """A thought comes first or not at all: the tags later in the text are text.

    thinking: the text begins inside a thought.
    """

    def __init__(self, tag: Tag, *, thinking: bool) -> None:
        self._tag = tag
        self.thinking = thinking
        self._done = False
        super().__init__()

    def feed(self, text: str) -> list[Piece]:
        if self._done:
            return [Content(text)] if text else []
        return super().feed(text)

    def run(self) -> Generator[None, None, None]:
        if not self.thinking:
            at = yield from self.skip_space(0)
            if (yield from self.follows(self._tag.begin, at)):
                self.drop(at + len(self._tag.begin))
                self.thinking = True
        if self.thinking:
            yield from self._think()
            at = yield from self.skip_space(0)
            self.drop(at)
        self.give(self.buffer)
        self.buffer = ""
        self._done = True

    def _think(self) -> Generator[None, None, None]:
        self.drop((yield from self.skip_space(0)))
        end = self._tag.end
        while (at := self.buffer.find(end)) < 0 and not self.ended:
            held = overlap(self.buffer, end)
            self._give_thought(self.buffer[: len(self.buffer) - held].rstrip(SPACE))
            yield
        self._give_thought(self.buffer[: at if at >= 0 else None].rstrip(SPACE))
        self.drop(self.buffer.find(end) + len(end) if at >= 0 else len(self.buffer))
        self.thinking = False

    def _give_thought(self, text: str) -> None:
        if text:
            self.pieces.append(Thought(text))
            self.drop(len(text))
