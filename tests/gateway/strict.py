"""Answers held against the models of OpenAI's own package: every field that it demands is there and
of its type, and there is no other but what Tricorn's documentation names."""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import BaseModel, TypeAdapter

ModelT = TypeVar("ModelT", bound=BaseModel)

EXTENSIONS: dict[str, set[str]] = {
    "ChatCompletionMessage": {"reasoning_content", "reasoning"},
    "ChoiceDelta": {"reasoning_content", "reasoning"},
    "ChatCompletion": {"prompt_logprobs", "truncation"},
    "ChatCompletionChunk": {"truncation"},
    "CompletionChoice": {"prompt_logprobs"},
    "Model": {"root", "parent", "tricorn"},
}
"""Model of OpenAI's package → fields beyond it (docs/tools.md, docs/engines.md, docs/api.md)."""


def check(kind: type[ModelT], data: bytes | str) -> ModelT:
    """data: JSON. Strict: "1" is no number there, and 1 is no boolean."""
    answer = TypeAdapter(kind).validate_json(data, strict=True)
    found = beyond(answer)
    assert not found, f"{kind.__name__} has {', '.join(found)}"
    return answer


def beyond(value: Any, where: str = "") -> list[str]:
    """Paths of fields that neither OpenAI's models nor `EXTENSIONS` have."""
    if isinstance(value, list):
        return [path for at, item in enumerate(value) for path in beyond(item, f"{where}[{at}]")]
    if not isinstance(value, BaseModel):
        return []
    allowed = EXTENSIONS.get(type(value).__name__, set())
    found = [f"{where}.{name}" for name in value.model_extra or {} if name not in allowed]
    for name in type(value).model_fields:
        found += beyond(getattr(value, name), f"{where}.{name}")
    return found
