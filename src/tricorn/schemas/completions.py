"""`POST /v1/completions`: the request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Self

import msgspec
from pydantic import BeforeValidator, Field, model_validator

from tricorn.engines.request import SamplingParams
from tricorn.schemas.cells import Needs, Within
from tricorn.schemas.fields import (
    Boolean,
    Integer,
    KeepAlive,
    String,
    bad_value,
    to_int,
    wrong_type,
)
from tricorn.schemas.parameters import COMPLETIONS, Rule
from tricorn.schemas.sampling import GenerationRequest, across
from tricorn.worker.protocol import FillPrompt, Prompt, TextPrompt, TokenPrompt

MAX_PROMPTS = 128
DEFAULT_MAX_TOKENS = 16
"""OpenAI's, for this route; clients rely on it."""


def _prompts(value: object) -> list[str | list[int]]:
    """A string, token ids, or an array of either, as an array."""
    if isinstance(value, str):
        return [value]
    if not isinstance(value, list):
        raise wrong_type("a string, an array of strings, or token ids", value)
    if not value:
        raise bad_value("there must be at least one prompt")
    if not isinstance(value[0], str | list):
        return [_ids(value)]
    if len(value) > MAX_PROMPTS:
        raise bad_value(f"at most {MAX_PROMPTS} prompts, got {len(value)}")
    if all(isinstance(item, str) for item in value):
        return value
    if all(isinstance(item, list) for item in value):
        return [_ids(item) for item in value]
    raise bad_value("its items must be all strings or all arrays of token ids")


def _ids(items: list[object]) -> list[int]:
    if not items:
        raise bad_value("an array of token ids cannot be empty")
    ids = [to_int(item) for item in items]
    if min(ids) < 0 or max(ids) >= 2**31:
        raise bad_value("token ids cannot be negative or beyond 2147483647")
    return ids


class CompletionRequest(GenerationRequest):
    rules: ClassVar[Mapping[str, Rule]] = COMPLETIONS

    prompt: Annotated[
        list[str | list[int]],
        BeforeValidator(
            _prompts, json_schema_input_type=str | list[str] | list[int] | list[list[int]]
        ),
    ]
    max_tokens: Integer = Field(DEFAULT_MAX_TOKENS, ge=0, lt=2**31)
    echo: Annotated[Boolean, Within({"true, with logprobs": Needs("prompt_logprobs")})] = False
    logprobs: Integer | None = Field(None, ge=0, le=5)
    best_of: Integer | None = Field(None, ge=1, le=128)
    suffix: Annotated[String, Needs("fill_in_middle", ("",))] = ""
    keep_alive: KeepAlive | None = None

    @model_validator(mode="after")
    def _completion_fields_agree(self) -> Self:
        if self.best_of is not None and self.best_of < self.n:
            raise across("best_of", f"it cannot be below 'n', which is {self.n}")
        if self.sequences > self.n and self.stream:
            raise across("best_of", "answers that are chosen among others cannot be streamed")
        if self.suffix and self.echo:
            raise across("echo", "it cannot be combined with 'suffix'")
        return self

    @property
    def sequences(self) -> int:
        """Answers that are computed for each prompt; the best `n` are given."""
        return self.n if self.best_of is None else self.best_of

    @property
    def echo_logprobs(self) -> int | None:
        """How many alternatives of each prompt token the repeated prompt has; None: no logprobs."""
        return self.logprobs if self.echo else None

    def token_limit(self) -> int | None:
        return self.max_tokens

    def logprob_count(self) -> int | None:
        if self.logprobs is None and self.sequences > self.n:
            return 0  # they are ranked by them
        return self.logprobs

    def prompt_logprob_count(self) -> int | None:
        wanted = [k for k in (self.prompt_logprobs, self.echo_logprobs) if k is not None]
        return max(wanted, default=None)

    def sampling(self) -> SamplingParams:
        return msgspec.structs.replace(super().sampling(), n=self.sequences)

    def prompts(self) -> list[Prompt]:
        if self.suffix:
            return [FillPrompt(prompt, self.suffix) for prompt in self.prompt]
        return [
            TextPrompt(prompt) if isinstance(prompt, str) else TokenPrompt(prompt)
            for prompt in self.prompt
        ]
