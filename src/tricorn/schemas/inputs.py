"""Texts that requests bring to be embedded or compared, and how they may be written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator
from pydantic_core import PydanticCustomError

from tricorn.schemas.fields import bad_value, inside, to_int, wrong_type

MAX_INPUTS = 2048
"""OpenAI's, for embeddings; the same for documents to compare."""

ItemT = TypeVar("ItemT")


class TextDocument(BaseModel):
    """A document as Cohere's and Jina's clients may write it."""

    text: str


def _each(items: list[Any], check: Callable[[object], ItemT]) -> list[ItemT]:
    """An error names the item."""
    if not items:
        raise bad_value("cannot be an empty array")
    if len(items) > MAX_INPUTS:
        raise bad_value(f"at most {MAX_INPUTS} items, got {len(items)}")
    checked = []
    for position, item in enumerate(items):
        try:
            checked.append(check(item))
        except PydanticCustomError as error:
            raise inside(error, position) from error
    return checked


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise wrong_type("a string", value)
    if not value:
        raise bad_value("cannot be an empty string")
    return value


def _tokens(value: object) -> list[int]:
    if not isinstance(value, list):
        raise wrong_type("an array of token ids", value)
    if not value:
        raise bad_value("an array of token ids cannot be empty")
    ids = [to_int(item) for item in value]
    if min(ids) < 0 or max(ids) >= 2**31:
        raise bad_value("token ids cannot be negative or beyond 2147483647")
    return ids


def _texts(value: object) -> list[str]:
    """A string or an array of strings, as an array."""
    if isinstance(value, list):
        return _each(value, _text)
    if not isinstance(value, str):
        raise wrong_type("a string or an array of strings", value)
    return [_text(value)]


def _texts_or_tokens(value: object) -> list[str | list[int]]:
    """A string, token ids, or an array of either, as an array."""
    if isinstance(value, list) and value:
        if isinstance(value[0], list):
            return [*_each(value, _tokens)]
        if not isinstance(value[0], str):
            return [_tokens(value)]
    return [*_texts(value)]


def _document(value: object) -> str:
    if isinstance(value, dict) and "text" in value:
        try:
            return _text(value["text"])
        except PydanticCustomError as error:
            raise inside(error, "text") from error
    if not isinstance(value, str):
        raise wrong_type("a string or an object with 'text'", value)
    return _text(value)


def _documents(value: object) -> list[str]:
    if not isinstance(value, list):
        raise wrong_type("an array of documents", value)
    return _each(value, _document)


Text = Annotated[str, BeforeValidator(_text)]
Texts = Annotated[list[str], BeforeValidator(_texts, json_schema_input_type=str | list[str])]
TextsOrTokens = Annotated[
    list[str | list[int]],
    BeforeValidator(
        _texts_or_tokens, json_schema_input_type=str | list[str] | list[int] | list[list[int]]
    ),
]
Documents = Annotated[
    list[str], BeforeValidator(_documents, json_schema_input_type=list[str | TextDocument])
]
