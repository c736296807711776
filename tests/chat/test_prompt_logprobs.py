"""Log probabilities of a prompt's own tokens, in an answer."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from tricorn.chat.chat_completion import ChatCompletion
from tricorn.chat.prompt_logprobs import by_token_id, echoed
from tricorn.chat.response import Head
from tricorn.chat.text_completion import TextChunks, TextCompletion
from tricorn.engines.request import TokenDelta, TokenLogprob

HEAD = Head("id", 1, "m", "fp")
NULL = float("-inf")


def token(text: str | bytes, logprob: float = -1.0, number: int = 0, **more: Any) -> TokenLogprob:
    return TokenLogprob(text.encode() if isinstance(text, str) else text, logprob, number, **more)


B = token("b", -2.0, 2, top=[token("a", -0.5, 1), token("x", -1.0, 9)], rank=4)
C = token("c", -0.25, 3, top=[token("c", -0.25, 3), token("y", -3.0, 8)], rank=1)
ANSWER = TokenDelta(0, "d", [4], None, None, [token("d", -0.75, 4)], 0, [B, C])
END = TokenDelta(0, "", [5], "stop", None, [token("", -0.125, 5)])


def test_the_prompt_in_openais_shape() -> None:
    """Nothing is known of the first token; the chosen one is always among the alternatives."""
    assert echoed("abc", b"a", [B, C], 1) == {
        "tokens": ["a", "b", "c"],
        "token_logprobs": [None, -2.0, -0.25],
        "top_logprobs": [None, {"a": -0.5, "b": -2.0}, {"c": -0.25}],
        "text_offset": [0, 1, 2],
    }
    assert echoed("a", b"a", [], 1)["token_logprobs"] == [None]


@pytest.mark.parametrize(
    ("text", "tokens", "offsets"),
    [
        ("Hi there", ["<s>", "Hi", " there"], [0, 0, 2]),  # a BOS
        ("Hi there", [" Hi", " there"], [0, 2]),  # a space in front
        ("é!", [b"\xc3", b"\xa9", b"!"], [0, 0, 1]),  # parts of a character
        ("Ho", ["Ho", "</s>"], [0, 2]),  # an end
        ("ABC", ["a", "bc"], [0, 1]),  # a tokenizer that changes the text
    ],
)
def test_offsets_are_in_the_text_that_was_sent(
    text: str, tokens: list[str | bytes], offsets: list[int]
) -> None:
    """Whatever the tokenizer put around it."""
    first, *others = [token(one) for one in tokens]
    assert echoed(text, first.token, others, 0)["text_offset"] == offsets


def test_tokens_that_look_alike() -> None:
    """The likelier one gives the value."""
    entry = token("x", -3.0, top=[token("", -0.5), token("", -2.0)])
    assert echoed("yx", b"y", [entry], 2)["top_logprobs"][1] == {"": -0.5, "x": -3.0}


def test_the_prompt_in_vllms_shape() -> None:
    """By token id, the prompt's own first, each with its rank."""
    assert by_token_id([B, token("c", NULL, 3, rank=7)], 1) == [
        None,
        {
            "2": {"logprob": -2.0, "rank": 4, "decoded_token": "b"},
            "1": {"logprob": -0.5, "rank": 1, "decoded_token": "a"},
        },
        {"3": {"logprob": -9999.0, "rank": 7, "decoded_token": "c"}},
    ]
    assert by_token_id([C], 1) == [None, {"3": {"logprob": -0.25, "rank": 1, "decoded_token": "c"}}]


def test_a_whole_completion_begins_with_its_prompt() -> None:
    """Every token is there, an end without text too: they are counted by clients."""
    builder = TextCompletion(HEAD, logprobs=True, echo=True, echo_logprobs=1, prompt_logprobs=2)
    builder.started(0, 3, "abc", b"a")
    builder.delta(0, ANSWER)
    builder.delta(0, END)
    [choice] = builder.result()["choices"]
    assert choice["text"] == "abcd"
    assert choice["logprobs"]["tokens"] == ["a", "b", "c", "d", ""]
    assert choice["logprobs"]["token_logprobs"] == [None, -2.0, -0.25, -0.75, -0.125]
    assert choice["logprobs"]["text_offset"] == [0, 1, 2, 3, 4]
    assert choice["prompt_logprobs"] == by_token_id([B, C], 2)


def test_nobody_gets_vllms_field_unasked() -> None:
    """OpenAI's shape has none."""
    for builder in (TextCompletion(HEAD), ChatCompletion(HEAD)):
        builder.started(0, 3, None)
        builder.delta(0, END)
        answer = builder.result()
        assert "prompt_logprobs" not in answer
        assert "prompt_logprobs" not in answer["choices"][0]


def test_a_chat_has_vllms_field_once() -> None:
    """At its top, where vLLM has it."""
    builder = ChatCompletion(HEAD, n=2, prompt_logprobs=1)
    builder.started(0, 3, None, b"a")
    builder.delta(0, ANSWER)
    builder.delta(0, TokenDelta(1, "x", [1], "stop"))
    assert builder.result()["prompt_logprobs"] == by_token_id([B, C], 1)


def test_a_stream_begins_with_its_prompt() -> None:
    """Held back until its logprobs are known; each of n answers gets it."""
    builder = TextChunks(HEAD, n=2, logprobs=True, echo=True, echo_logprobs=1)
    assert sent(builder.started(0, 3, "abc", b"a")) == []
    first = sent(builder.delta(0, ANSWER))
    assert [(choice["index"], choice["text"]) for choice in first] == [
        (0, "abc"),
        (1, "abc"),
        (0, "d"),
    ]
    assert first[0]["logprobs"] == first[1]["logprobs"] == echoed("abc", b"a", [B, C], 1)
    assert first[2]["logprobs"]["text_offset"] == [3]
    [end] = sent(builder.delta(0, END))
    assert (end["logprobs"]["tokens"], end["finish_reason"]) == ([""], "stop")


def sent(chunks: list[bytes]) -> list[dict[str, Any]]:
    return [orjson.loads(chunk)["choices"][0] for chunk in chunks]
