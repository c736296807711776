"""Request fields that say how tokens are chosen and when an answer ends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Self

import msgspec
from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from tricorn.engines.request import Constraint, SamplingParams
from tricorn.schemas.cells import Needs, NoEffect, Within
from tricorn.schemas.constrained import ConstraintFields
from tricorn.schemas.fields import (
    Boolean,
    Integer,
    LogitBias,
    Number,
    Stop,
    String,
    TokenIds,
    without_nulls,
)
from tricorn.schemas.fields import across as across
from tricorn.schemas.request import RequestModel


class StreamOptions(BaseModel):
    model_config = ConfigDict(extra="allow")

    include_usage: Boolean = False
    include_obfuscation: Boolean = False
    """A hint: padding against eavesdroppers on the stream is never sent."""
    continuous_usage_stats: Boolean = False
    """vLLM's: `usage` so far is in every chunk."""

    @model_validator(mode="before")
    @classmethod
    def _nulls_are_absent(cls, value: object) -> object:
        return without_nulls(value)


_IN_STREAM_OPTIONS = Within({"include_obfuscation": NoEffect()})


class SamplingRequest(RequestModel):
    """What all that generates has in common."""

    aliases: ClassVar[Mapping[str, str]] = {"repeat_penalty": "repetition_penalty"}

    model: String = Field(min_length=1)
    stream: Boolean = False

    temperature: Number = Field(1.0, ge=0, le=2)
    top_p: Number = Field(1.0, ge=0, le=1)
    presence_penalty: Number = Field(0.0, ge=-2, le=2)
    frequency_penalty: Number = Field(0.0, ge=-2, le=2)
    logit_bias: LogitBias = {}
    seed: Integer | None = None
    stop: Stop = []

    # vLLM's and llama.cpp's names
    top_k: Integer = Field(0, ge=-1, lt=2**31)
    min_p: Number = Field(0.0, ge=0, le=1)
    repetition_penalty: Number = Field(1.0, gt=0, le=10)
    min_tokens: Integer = Field(0, ge=0, lt=2**31)
    ignore_eos: Boolean = False
    stop_token_ids: TokenIds = Field([], max_length=128)
    priority: Integer = Field(0, ge=-(2**31), lt=2**31)
    """Lower ones get a place in the batch first."""

    @model_validator(mode="after")
    def _limits_agree(self) -> Self:
        limit = self.token_limit()
        if limit is not None and self.min_tokens > limit:
            raise across("min_tokens", f"it is above the limit of {limit} tokens")
        return self

    def token_limit(self) -> int | None:
        """Most tokens a sequence may get; None: up to the end of the context."""
        raise AssertionError("every request model says where its limit comes from")

    def logprob_count(self) -> int | None:
        """As `SamplingParams.logprobs`."""
        return None

    def constraint(self) -> Constraint | None:
        """What the answer must look like; None: like anything."""
        return None

    def sampling(self) -> SamplingParams:
        return SamplingParams(
            temperature=self.temperature,
            top_p=self.top_p,
            top_k=max(self.top_k, 0),
            min_p=self.min_p,
            presence_penalty=self.presence_penalty,
            frequency_penalty=self.frequency_penalty,
            repetition_penalty=self.repetition_penalty,
            logit_bias=self.logit_bias,
            seed=self.seed,
            stop=tuple(self.stop),
            stop_token_ids=tuple(self.stop_token_ids),
            max_tokens=self.token_limit(),
            min_tokens=self.min_tokens,
            ignore_eos=self.ignore_eos,
            logprobs=self.logprob_count(),
            constraint=self.constraint(),
        )


class GenerationRequest(ConstraintFields, SamplingRequest):
    """What chat completions and completions have in common."""

    stream_options: Annotated[StreamOptions | None, _IN_STREAM_OPTIONS] = None
    n: Integer = Field(1, ge=1, le=128)

    # vLLM's name
    prompt_logprobs: Annotated[Integer | None, Needs("prompt_logprobs")] = Field(None, ge=0, le=20)

    @model_validator(mode="after")
    def _fields_agree(self) -> Self:
        if self.stream_options is not None and not self.stream:
            raise across("stream_options", "it is only allowed when 'stream' is true")
        if self.prompt_logprobs is not None and self.stream:
            raise across("prompt_logprobs", "a stream does not have them")
        return self

    def prompt_logprob_count(self) -> int | None:
        """As `GenerateRequest.prompt_logprobs`."""
        return self.prompt_logprobs

    @property
    def include_usage(self) -> bool:
        return self.stream_options is not None and self.stream_options.include_usage

    @property
    def continuous_usage(self) -> bool:
        return self.stream_options is not None and self.stream_options.continuous_usage_stats

    def sampling(self) -> SamplingParams:
        return msgspec.structs.replace(super().sampling(), n=self.n)

    def unknown_inside(self) -> list[str]:
        extra = (self.stream_options.model_extra or {}) if self.stream_options else {}
        return [f"stream_options.{name}" for name in extra] + self.unknown_in_constraints()


def unsupported_across(param: str, text: str) -> PydanticCustomError:
    """As `across`, for a combination that this version cannot do."""
    return PydanticCustomError("unsupported", "{text}", {"text": text, "param": param})
