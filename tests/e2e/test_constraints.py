"""Constrained answers of SmolLM2 through OpenAI's client: always what was asked for."""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

import openai
import pydantic
import pytest
from tests.e2e.server import MODEL, user

pytestmark = pytest.mark.timeout(180)


class Address(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid")

    street: str = pydantic.Field(max_length=12)
    number: int = pydantic.Field(ge=1, le=999)


class Person(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid")

    name: str = pydantic.Field(max_length=12)
    mood: Literal["happy", "sad"]
    addresses: list[Address] = pydantic.Field(min_length=1, max_length=2)


PERSON = {
    "type": "json_schema",
    "json_schema": {"name": "person", "strict": True, "schema": Person.model_json_schema()},
}
ASK = user("Tell me about Tom, who lives in the Main Street.")


def chat(client: openai.OpenAI, **options: Any) -> Any:
    options = {"messages": ASK, "temperature": 0, "max_tokens": 150} | options
    return client.chat.completions.create(model=MODEL, **options)


def structured(client: openai.OpenAI, *, messages: Any = ASK, **how: Any) -> tuple[str, str]:
    """The text, and why it ended."""
    choice = chat(client, messages=messages, extra_body={"structured_outputs": how}).choices[0]
    return choice.message.content, choice.finish_reason


def test_a_schema_is_followed(client: openai.OpenAI) -> None:
    """Nested objects, an enum, an array; through `response_format`, streamed or whole."""
    whole = chat(client, response_format=PERSON).choices[0]
    assert whole.finish_reason == "stop"
    Person.model_validate_json(whole.message.content)
    chunks = list(chat(client, response_format=PERSON, stream=True))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert text == whole.message.content
    assert chunks[-1].choices[0].finish_reason == "stop"


def test_the_sdks_parse(client: openai.OpenAI) -> None:
    """A pydantic model goes in, an object of it comes out; at a high temperature too."""
    answer = client.chat.completions.parse(
        model=MODEL, messages=ASK, response_format=Person, temperature=1.5, seed=1, max_tokens=200
    )
    assert isinstance(answer.choices[0].message.parsed, Person)


def test_json_object(client: openai.OpenAI) -> None:
    """Some object; cut by max_tokens it says so."""
    answer = chat(client, response_format={"type": "json_object"}, max_tokens=8).choices[0]
    assert answer.message.content.startswith("{")
    assert answer.finish_reason in ("stop", "length")


def test_structured_outputs(client: openai.OpenAI) -> None:
    """vLLM's extension: a regular expression, a choice, a grammar, a schema."""
    text, why = structured(client, regex=r"[A-Z][a-z]{2,8}, \d{4}")
    assert re.fullmatch(r"[A-Z][a-z]{2,8}, [0-9]{4}", text)
    assert why == "stop"
    france = user("What is the capital of France?")
    towns = [f"The capital of France is {town}." for town in ("Berlin", "Paris", "Rome")]
    assert structured(client, choice=towns, messages=france) == (towns[1], "stop")
    sums = 'root ::= num "+" num\nnum ::= [0-9] [0-9]?'
    assert re.fullmatch(r"\d\d?\+\d\d?", structured(client, grammar=sums)[0])
    assert json.loads(structured(client, json={"type": "integer", "maximum": 9})[0]) <= 9


def test_other_servers_names(client: openai.OpenAI) -> None:
    """llama-server's, and vLLM's older ones."""
    grammar = {"grammar": 'root ::= [0-9] [0-9]? "!"'}
    assert re.fullmatch("[0-9]{1,2}!", chat(client, extra_body=grammar).choices[0].message.content)
    number = {"json_schema": {"type": "integer", "maximum": 9}}
    assert json.loads(chat(client, extra_body=number).choices[0].message.content) <= 9
    word = {"guided_choice": ["yes", "no"]}
    assert chat(client, extra_body=word).choices[0].message.content in ("yes", "no")


def test_legacy_completions(client: openai.OpenAI) -> None:
    """The same there; each of n answers by itself."""
    answer = client.completions.create(
        model=MODEL,
        prompt="A colour:",
        n=3,
        temperature=1.5,
        seed=1,
        extra_body={"structured_outputs": {"choice": ["red", "green", "blue"]}},
    )
    assert {choice.text for choice in answer.choices} <= {"red", "green", "blue"}
    assert {choice.finish_reason for choice in answer.choices} == {"stop"}


@pytest.mark.parametrize(
    ("fields", "param", "names"),
    [
        (
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "n", "schema": {"not": {"type": "string"}}},
                }
            },
            "response_format",
            "not",
        ),
        ({"guided_json": {"not": {"type": "string"}}}, "guided_json", "not"),
        ({"json_schema": {"not": {"type": "string"}}}, "json_schema", "not"),
        ({"structured_outputs": {"json": {"not": {}}}}, "structured_outputs.json", "not"),
        ({"grammar": "root ::= b"}, "grammar", "b"),
        ({"structured_outputs": {"regex": "(a"}}, "structured_outputs.regex", "expression"),
        ({"structured_outputs": {"grammar": "start: b"}}, "structured_outputs.grammar", "b"),
    ],
)
def test_what_cannot_be_enforced_is_refused(
    client: openai.OpenAI, fields: dict[str, Any], param: str, names: str
) -> None:
    """400 naming the field and what in it is the trouble, streamed or not."""
    for stream in (False, True):
        with pytest.raises(openai.BadRequestError) as caught:
            chat(client, extra_body=fields, stream=stream)
        assert (caught.value.param, caught.value.code) == (param, "invalid_value")
        assert names in caught.value.message


def test_constrained_and_free_answers_share_the_engine(client: openai.OpenAI) -> None:
    """Eight at once of every kind: each has its own constraint, free text has none."""
    free = chat(client, max_tokens=16).choices[0].message.content

    def one(number: int) -> None:
        match number % 4:
            case 0:
                Person.model_validate_json(
                    chat(client, response_format=PERSON).choices[0].message.content
                )
            case 1:
                digits = f"{number}[0-9]{{3}}"
                assert re.fullmatch(digits, structured(client, regex=digits)[0])
            case 2:
                assert structured(client, choice=["yes", "no"])[0] in ("yes", "no")
            case _:
                assert chat(client, max_tokens=16).choices[0].message.content[:4] == free[:4]

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(one, range(8)))
