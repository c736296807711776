"""The likeliest of several answers."""

from __future__ import annotations

from tricorn.chat.best_of import Ranking
from tricorn.chat.response import Head
from tricorn.chat.text_completion import TextCompletion
from tricorn.engines.request import TokenDelta, TokenLogprob


def entries(*logprobs: float) -> list[TokenLogprob]:
    return [TokenLogprob(b"x", logprob) for logprob in logprobs]


def test_the_mean_counts_and_not_the_sum() -> None:
    """A long answer is not worse for being long; equal ones keep their order."""
    ranking = Ranking()
    ranking.add(0, entries(-1.0))
    ranking.add(1, entries(-0.5, -0.5))
    ranking.add(1, entries(-0.5))
    ranking.add(2, entries(float("-inf")))
    ranking.add(3, entries(-1.0))
    assert ranking.best(range(4), 4) == [1, 0, 3, 2]
    assert ranking.best(range(4), 1) == [1]
    assert ranking.best(range(5, 7), 2) == [5, 6], "without a token they are alike"


def test_a_completion_shows_the_best_of_each_prompt() -> None:
    """Numbered anew; usage counts all that were computed."""
    builder = TextCompletion(Head("id", 1, "m", "fp"), n=2, best=1, prompts=2)
    values = {(0, 0): -3.0, (0, 1): -1.0, (1, 0): -0.5, (1, 1): -2.0}
    for position in range(2):
        builder.started(position, 3, None)
    for (position, index), value in values.items():
        name = f"{position}{index}"
        builder.delta(position, TokenDelta(index, name, [1], "stop", None, entries(value)))
    answer = builder.result()
    assert [(choice["index"], choice["text"]) for choice in answer["choices"]] == [
        (0, "01"),
        (1, "10"),
    ]
    assert all(choice["logprobs"] is None for choice in answer["choices"])
    assert answer["usage"]["completion_tokens"] == 4
