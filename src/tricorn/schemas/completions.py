"""`POST /v1/completions`: the request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Self

from pydantic import BeforeValidator, Field, model_validator

from tricorn.schemas.fields import Boolean, Integer, bad_value, to_int, wrong_type
from tricorn.schemas.parameters import COMPLETIONS, Rule
from tricorn.schemas.sampling import GenerationRequest, unsupported_across
from tricorn.worker.protocol import TextPrompt, TokenPrompt

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

    prompt: Annotated[list[str | list[int]], BeforeValidator(_prompts)]
    max_tokens: Integer = Field(DEFAULT_MAX_TOKENS, ge=0, lt=2**31)
    echo: Boolean = False
    logprobs: Integer | None = Field(None, ge=0, le=5)
    best_of: Integer | None = Field(None, ge=1, le=128)

    @model_validator(mode="after")
    def _completion_fields_agree(self) -> Self:
        if self.echo and self.logprobs is not None:
            raise unsupported_across(
                "echo",
                "'echo' together with 'logprobs' is not supported: this version does not "
                "compute the probabilities of prompt tokens.",
            )
        if self.best_of not in (None, self.n):
            raise unsupported_across("best_of", "'best_of' other than 'n' is not supported.")
        return self

    def token_limit(self) -> int | None:
        return self.max_tokens

    def logprob_count(self) -> int | None:
        return self.logprobs

    def prompts(self) -> list[TextPrompt | TokenPrompt]:
        return [
            TextPrompt(prompt) if isinstance(prompt, str) else TokenPrompt(prompt)
            for prompt in self.prompt
        ]
