"""Ollama's requests for vectors, and for what is known of a model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import BeforeValidator, Field

from tricorn.schemas.cells import NoEffect, Shortened
from tricorn.schemas.fields import Boolean, Integer, String
from tricorn.schemas.inputs import Texts
from tricorn.schemas.management import Name
from tricorn.schemas.ollama.request import OllamaRequest
from tricorn.schemas.parameters import Hint, Inert, Rule
from tricorn.schemas.request import RequestModel


def _some_or_none(value: object) -> object:
    return None if value in ("", []) else value


class OllamaEmbed(OllamaRequest):
    input: Annotated[
        Texts | None, BeforeValidator(_some_or_none, json_schema_input_type=str | list[str])
    ] = None
    """Nothing, an empty string or an empty array: the model is to be loaded."""
    truncate: Annotated[Boolean, NoEffect()] = True
    """A hint: a text that does not fit is refused either way."""
    dimensions: Annotated[Integer | None, Shortened()] = Field(None, ge=0, lt=2**31)
    """0: as many as the model makes."""


class OllamaEmbeddings(OllamaRequest):
    """The older form, of one text."""

    prompt: String = ""


class OllamaShow(RequestModel):
    aliases: ClassVar[Mapping[str, str]] = {"name": "model"}
    rules: ClassVar[Mapping[str, Rule]] = {
        # How much is shown does not depend on it: all that is known.
        "verbose": Hint((bool,), "a boolean"),
        "system": Inert(("",)),
        "template": Inert(("",)),
        "options": Inert(({},)),
    }

    model: String = Field(min_length=1)


class OllamaPull(RequestModel):
    aliases: ClassVar[Mapping[str, str]] = {"name": "model"}
    rules: ClassVar[Mapping[str, Rule]] = {
        "insecure": Inert((False,)),
        "username": Inert(("",)),
        "password": Inert(("",)),
    }

    model: Name
    """A hub's id: ORG/NAME or hf.co/ORG/NAME, with or without :QUANTISATION."""
    stream: Boolean = True


class OllamaDelete(RequestModel):
    aliases: ClassVar[Mapping[str, str]] = {"name": "model"}

    model: Name
