"""What a token adds to an answer, and whether it ends it."""

from __future__ import annotations

from typing import Any

from tricorn.chat.text import TextStream
from tricorn.engines.mlx.endings import text_and_end
from tricorn.engines.mlx.scheduler import Sequence
from tricorn.engines.request import GenerateRequest, SamplingParams

END = 0


def answer(tokens: list[tuple[int, str]], *, context: int = 100, **sampling: Any) -> list[Any]:
    """What each token gives, up to the one that ends the answer to a prompt of two tokens."""
    request = GenerateRequest("r", [1, 2], SamplingParams(**sampling))
    sequence = Sequence(request, 0, [1, 2], text=TextStream(request.sampling.stop))
    given = []
    for token, text in tokens:
        given.append(
            text_and_end(
                sequence,
                token,
                piece=text.encode(),
                end_tokens=frozenset({END}),
                context_length=context,
            )
        )
        if given[-1][1] is not None:
            break
    assert sequence.tokens == [1, 2, *(token for token, _ in tokens[: len(given)])]
    assert sequence.generated == len(given)
    return given


def test_the_models_own_end_gives_no_text_but_what_was_held_back() -> None:
    """A beginning of a stop string is text if nothing follows."""
    assert answer([(5, "a<"), (END, "")], stop=("<x>",)) == [("a", None, None), ("<", "stop", None)]


def test_a_stop_string_may_lie_across_tokens() -> None:
    """Nothing of it is shown."""
    given = answer([(5, "a<"), (6, "x>b")], stop=("<x>",))
    assert given == [("a", None, None), ("", "stop", "<x>")]


def test_a_stop_token_is_named() -> None:
    """Its text is not shown."""
    assert answer([(5, "a"), (7, "b")], stop_token_ids=(7,))[-1] == ("", "stop", 7)


def test_nothing_stops_before_min_tokens() -> None:
    """Neither strings nor tokens."""
    given = answer([(7, "x"), (7, "x"), (7, "x")], stop=("x",), stop_token_ids=(7,), min_tokens=2)
    assert given == [("x", None, None), ("x", None, None), ("", "stop", 7)]


def test_the_longest_answer() -> None:
    """By max_tokens, or by the context; what was held back is shown."""
    assert answer([(5, "a"), (5, "b<")], max_tokens=2, stop=("<x>",))[-1] == ("b<", "length", None)
    assert answer([(5, "a")] * 9, context=5)[-1] == ("a", "length", None)
    assert len(answer([(5, "a")] * 9, context=5)) == 3
