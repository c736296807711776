"""`options` of Ollama's requests: how tokens are chosen, and how the model is to be run.

What would change the answer and cannot be done is refused, unless its value asks for nothing. What
only says how a model is to be loaded is a hint: Tricorn's own settings say that.
"""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import AfterValidator, Field, model_validator

from tricorn.engines.request import Constraint, SamplingParams
from tricorn.schemas.fields import (
    INT64,
    Boolean,
    Integer,
    Number,
    Stop,
    bad_value,
    inside,
    unsupported,
)
from tricorn.schemas.objects import OpenObject

WHOLE_CONTEXT = -1
"""Of `repeat_last_n`: penalties look back over everything, which they always do here."""
NO_LIMITS = (-1, -2)
"""Of `num_predict`: without end, and up to the context's end. Here both end there."""


def _only(name: str, neutral: object) -> AfterValidator:
    def check(value: Any) -> Any:
        if value != neutral:
            known = str(neutral).lower()
            raise unsupported(f"'options.{name}' can only be {known} here, which asks for nothing.")
        return value

    return AfterValidator(check)


def _limit(value: int) -> int:
    if value < 1 and value not in NO_LIMITS:
        raise bad_value("must be at least 1, or -1 for no limit")
    return value


class Options(OpenObject):
    temperature: Number = Field(1.0, ge=0, le=2)
    top_k: Integer = Field(0, ge=-1, lt=2**31)
    top_p: Number = Field(1.0, ge=0, le=1)
    min_p: Number = Field(0.0, ge=0, le=1)
    seed: Integer | None = Field(None, ge=-INT64, lt=INT64)
    """-1: any."""
    stop: Stop = []
    num_predict: Annotated[Integer, AfterValidator(_limit)] = Field(-1, lt=2**31)
    repeat_penalty: Number = Field(1.0, gt=0, le=10)
    presence_penalty: Number = Field(0.0, ge=-2, le=2)
    frequency_penalty: Number = Field(0.0, ge=-2, le=2)
    repeat_last_n: Integer = Field(WHOLE_CONTEXT, ge=WHOLE_CONTEXT, lt=2**31)
    """0: no penalties."""
    penalize_newline: Boolean = True
    num_ctx: Integer | None = Field(None, ge=1, lt=2**31)
    """Refused where the model was loaded with less."""

    mirostat: Annotated[Integer, _only("mirostat", 0)] = 0
    tfs_z: Annotated[Number, _only("tfs_z", 1.0)] = 1.0
    typical_p: Annotated[Number, _only("typical_p", 1.0)] = 1.0
    vocab_only: Annotated[Boolean, _only("vocab_only", False)] = False
    embedding_only: Annotated[Boolean, _only("embedding_only", False)] = False

    # Hints: without effect on the answer.
    mirostat_tau: Number | None = None
    mirostat_eta: Number | None = None
    num_keep: Integer | None = None
    num_batch: Integer | None = None
    num_gpu: Integer | None = None
    num_gqa: Integer | None = None
    num_thread: Integer | None = None
    main_gpu: Integer | None = None
    numa: Boolean | None = None
    low_vram: Boolean | None = None
    f16_kv: Boolean | None = None
    logits_all: Boolean | None = None
    use_mmap: Boolean | None = None
    use_mlock: Boolean | None = None

    @model_validator(mode="after")
    def _penalties_can_be_done(self) -> Self:
        if not self.penalises:
            return self
        if self.repeat_last_n not in (0, WHOLE_CONTEXT):
            text = (
                "'options.repeat_last_n' can only be -1 or 0 here: penalties look back over the "
                "whole text."
            )
            raise inside(unsupported(text), "repeat_last_n")
        if not self.penalize_newline:
            text = "'options.penalize_newline' can only be true here, where there are penalties."
            raise inside(unsupported(text), "penalize_newline")
        return self

    @property
    def penalises(self) -> bool:
        return bool(self.repeat_penalty != 1.0 or self.presence_penalty or self.frequency_penalty)

    def sampling(
        self, *, logprobs: int | None = None, constraint: Constraint | None = None
    ) -> SamplingParams:
        """logprobs: as `SamplingParams.logprobs`."""
        off = self.repeat_last_n == 0
        return SamplingParams(
            temperature=self.temperature,
            top_k=max(self.top_k, 0),
            top_p=self.top_p,
            min_p=self.min_p,
            seed=None if self.seed == -1 else self.seed,
            stop=tuple(self.stop),
            max_tokens=None if self.num_predict in NO_LIMITS else self.num_predict,
            logprobs=logprobs,
            constraint=constraint,
            presence_penalty=0.0 if off else self.presence_penalty,
            frequency_penalty=0.0 if off else self.frequency_penalty,
            repetition_penalty=1.0 if off else self.repeat_penalty,
        )
