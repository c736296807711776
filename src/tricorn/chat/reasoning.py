"""Thoughts, told apart from the answer: `<think>…</think>` and what other families write."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import NamedTuple

from tricorn.chat.pieces import Content, Piece, Thought
from tricorn.chat.reader import SPACE, Reader, overlap
from tricorn.engines.request import ThoughtLimit


class Tag(NamedTuple):
    """What stands around a thought."""

    begin: str
    end: str
    answer: tuple[str, str] | None = None
    """What may stand around the answer behind it."""
    signs: tuple[str, ...] = ()
    """A template that writes this has all of these in its text; none: it has `end`."""
    token: str = ""
    """The part of `begin` that may be a control token; empty: all of it."""


TAGS = {
    "gemma": Tag("<|channel>thought", "<channel|>", token="<|channel>"),
    "cohere": Tag(
        "<|START_THINKING|>", "<|END_THINKING|>", ("<|START_RESPONSE|>", "<|END_RESPONSE|>")
    ),
    "cohere-text": Tag(
        "<|START_THINKING|>",
        "<|END_THINKING|>",
        ("<|START_TEXT|>", "<|END_TEXT|>"),
        ("<|END_THINKING|>", "<|START_TEXT|>"),
    ),
    "seed": Tag("<seed:think>", "</seed:think>"),
    "mistral": Tag("[THINK]", "[/THINK]"),
    "kimi": Tag("◁think▷", "◁/think▷"),
    # Other templates write results of tools as `<response>…</response>`.
    "granite": Tag(
        "<think>", "</think>", ("<response>", "</response>"), ("</think>", "<response></response>")
    ),
    "hunyuan": Tag(
        "<think>", "</think>", ("<answer>", "</answer>"), ("</think>", "<answer>", "</answer>")
    ),
    "think": Tag("<think>", "</think>"),
}
FIELDS = {
    "both": ("reasoning_content", "reasoning"),
    "reasoning_content": ("reasoning_content",),
    "reasoning": ("reasoning",),
}
"""What a chat answer calls thoughts, by setting: some clients read the one name, some the other."""
HARMONY = "harmony"
"""Thoughts are messages of their own there; its reader of tool calls reads them too."""


def find_format(template: str) -> str:
    """Which format a chat template writes; empty for none."""
    if "<|channel|>" in template:
        return HARMONY
    fitting = [
        name
        for name, tag in TAGS.items()
        if all(sign in template for sign in tag.signs or (tag.end,))
    ]
    # What says more of a template fits it better.
    return max(fitting, key=lambda name: len(TAGS[name].signs), default="")


def markers(reasoning: str) -> tuple[str, ...]:
    """Texts that may be control tokens; not of harmony, whose reader of tool calls has them."""
    tag = TAGS.get(reasoning)
    return () if tag is None else (tag.token or tag.begin, tag.end, *(tag.answer or ()))


def wraps(reasoning: str) -> bool:
    """The answer may stand in tags too."""
    tag = TAGS.get(reasoning)
    return tag is not None and tag.answer is not None


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


def thoughts(template: str) -> tuple[str, str] | None:
    """What a thought begins and ends with, where that is always the same."""
    tag = TAGS.get(find_format(template))
    return None if tag is None else (tag.begin, tag.end)


def limit(
    reasoning: str,
    tokens: int,
    tokenize: Callable[[str], list[int]],
    *,
    thinking: bool,
    calls: bool = False,
    required: bool = False,
) -> ThoughtLimit:
    """Thoughts of no more than `tokens` tokens.

    tokenize: knows control tokens. thinking: the prompt ends inside a thought. calls: there are
    tools that are called in this format; required: and one of them has to be.
    """
    if reasoning != HARMONY:
        tag = TAGS[reasoning]
        return ThoughtLimit(tokens, tag.begin, tag.end, (tuple(tokenize(tag.end)),), thinking)
    head, final = "<|end|><|start|>assistant", "<|channel|>final<|message|>"
    if required:
        endings = [f"{head}<|channel|>commentary"]
    elif calls:
        # Whether it calls is the model's choice; one that goes on to think has had it.
        endings = [head, head + final]
    else:
        endings = [head + final]
    forced = tuple(tuple(tokenize(ending)) for ending in endings)
    begin = "<|channel|>analysis<|message|>"
    return ThoughtLimit(tokens, begin, "<|end|>", forced, thinking, again=True)


class ThoughtReader(Reader):
    """A thought comes first or not at all: the tags later in the text are text. So are those of an
    answer, but at its end where it has one at its beginning.

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
        if self._tag.answer is not None:
            yield from self._answer(*self._tag.answer)
        self.give(self.buffer)
        self.buffer = ""
        self._done = True

    def _answer(self, begin: str, end: str) -> Generator[None, None, None]:
        """Give out what stands in an answer's tags, if anything does."""
        at = yield from self.skip_space(0)
        if not (yield from self.follows(begin, at)):
            return
        self.drop((yield from self.skip_space(at + len(begin))))
        self.after_markup = True
        while (yield from self.content_until(end)):
            behind = yield from self.skip_space(self.at + len(end))
            if not (yield from self.has(behind + 1)):
                self.drop(behind)
                return
            self.give_back(end)

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
