"""Which request fields each route knows, and what becomes of those it does not honour.

    schema       honoured: a field of the route's request model
    hint         accepted and without effect: it asks for nothing that shows in the answer
    inert        known, not done in this version: accepted only with a value that asks for nothing,
                 otherwise 400 `unsupported_parameter`
    (nobody's)   accepted and named in `x-tricorn-ignored`; 400 under STRICT_FIELDS

A new ability moves its names from here into the request model; nothing else knows these lists.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tricorn.errors import InvalidRequest, UnsupportedParameter
from tricorn.schemas.fields import kind


@dataclass(frozen=True)
class Hint:
    """Accepted when of one of these JSON types."""

    types: tuple[type, ...]
    expected: str

    def check(self, name: str, value: object) -> None:
        # bool is an int in Python, and no hint is a number.
        if not isinstance(value, self.types):
            raise InvalidRequest(
                f"Invalid type for '{name}': expected {self.expected}, got {kind(value)}.",
                param=name,
            )


@dataclass(frozen=True)
class Inert:
    """Accepted with one of these values, which ask for nothing."""

    values: tuple[Any, ...] = ()

    def check(self, name: str, value: object) -> None:
        if any(type(value) is type(known) and value == known for known in self.values):
            return
        only = f" other than {_or(self.values)}" if self.values else ""
        raise UnsupportedParameter(
            f"'{name}'{only} is not supported by this version of Tricorn.", param=name
        )


Rule = Hint | Inert

_TEXT = Hint((str,), "a string")
_FLAG = Hint((bool,), "a boolean")
_OBJECT = Hint((dict,), "an object")

_SHARED: dict[str, Rule] = {
    "user": _TEXT,
    "safety_identifier": _TEXT,
    "prompt_cache_key": _TEXT,
    "prompt_cache_retention": _TEXT,
    "prompt_cache_options": _OBJECT,
    "metadata": _OBJECT,
    "store": Inert((False,)),
    "service_tier": Inert(("auto", "default")),
    "guided_decoding_backend": _TEXT,
    "guided_whitespace_pattern": Inert(),
    "use_beam_search": Inert((False,)),
    "truncate_prompt_tokens": Inert(),
}

CHAT: Mapping[str, Rule] = {
    **_SHARED,
    "modalities": Inert((["text"],)),
    "audio": Inert(),
    "prediction": _OBJECT,
    "moderation": Inert(),
    "web_search_options": Inert(),
}

COMPLETIONS: Mapping[str, Rule] = _SHARED

_POOLING: dict[str, Rule] = {
    "user": _TEXT,
    "safety_identifier": _TEXT,
    "truncate_prompt_tokens": Inert(),
    "truncation": Inert((False,)),
    "priority": Inert((0,)),
}

EMBEDDINGS: Mapping[str, Rule] = {
    **_POOLING,
    "messages": Inert(),
    "normalize": Inert((True,)),
    "normalized": Inert((True,)),
    "add_special_tokens": Inert((True,)),
    "embedding_type": Inert(("float",)),
    "embedding_types": Inert((["float"],)),
}

RERANK: Mapping[str, Rule] = {
    **_POOLING,
    "max_tokens_per_doc": Inert(),
    "max_chunks_per_doc": Inert(),
    "rank_fields": Inert((["text"],)),
}

SCORE: Mapping[str, Rule] = _POOLING

RESPONSES: Mapping[str, Rule] = {
    "prompt_cache_retention": _TEXT,
    "prompt_cache_options": _OBJECT,
    "guided_decoding_backend": _TEXT,
    "guided_whitespace_pattern": Inert(),
    "service_tier": Inert(("auto", "default")),
    "background": Inert((False,)),
    "conversation": Inert(),
    "prompt": Inert(),
    "moderation": Inert(),
    "context_management": Inert(([],)),
    "image": Inert(),
    "access_programs": Inert(),
    "n": Inert((1,)),
    "prompt_logprobs": Inert(),
    "continue_final_message": Inert((False,)),
    "add_generation_prompt": Inert((True,)),
    "use_beam_search": Inert((False,)),
    "truncate_prompt_tokens": Inert(),
}

ANTHROPIC: Mapping[str, Rule] = {
    "metadata": _OBJECT,
    "cache_control": _OBJECT,
    "diagnostics": _OBJECT,
    "user_profile_id": _TEXT,
    "anthropic_version": _TEXT,
    "anthropic_beta": Hint((list,), "an array"),
    "betas": Hint((list,), "an array"),
    "service_tier": Inert(("auto", "standard_only")),
    "speed": Inert(("standard",)),
    "inference_geo": Inert(("global",)),
    "container": Inert(({},)),
    "mcp_servers": Inert(([],)),
    "compaction": Inert(({},)),
    "fallbacks": Inert(([],)),
    "thread": Inert(({},)),
}


def settle(
    body: Mapping[str, Any], honoured: set[str], rules: Mapping[str, Rule]
) -> tuple[dict[str, Any], list[str]]:
    """Part `body` into what the request model takes and the names that nobody knows.

    Explicit nulls are absent fields. InvalidRequest or UnsupportedParameter where a rule says so.
    """
    taken: dict[str, Any] = {}
    unknown: list[str] = []
    for name, value in body.items():
        if value is None:
            continue
        if name in honoured:
            taken[name] = value
        elif (rule := rules.get(name)) is not None:
            rule.check(name, value)
        else:
            unknown.append(name)
    return taken, unknown


def _or(values: tuple[Any, ...]) -> str:
    return " or ".join(_json(value) for value in values)


def _json(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value).replace("'", '"') if isinstance(value, dict | list) else f"'{value}'"
