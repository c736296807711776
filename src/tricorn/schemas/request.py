"""The base of request models: settle the fields, validate, and say what is wrong as OpenAI does."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from tricorn.errors import InvalidRequest, RequestError, UnsupportedParameter
from tricorn.schemas import fields
from tricorn.schemas.parameters import Rule, settle

TAG = "="
"""First character of the union tags that pydantic puts into error locations; no path shows them."""

LONGEST_MESSAGE = 500

_EXPECTED = {
    "model_type": "an object",
    "dict_type": "an object",
    "list_type": "an array",
    "string_type": "a string",
}
"""pydantic's own errors of types, whose words speak of Python."""


class RequestModel(BaseModel):
    """What a route takes. `parse` is the only way in."""

    model_config = ConfigDict(extra="ignore")

    rules: ClassVar[Mapping[str, Rule]] = {}
    aliases: ClassVar[Mapping[str, str]] = {}
    """Another server's name for a field → ours."""

    @classmethod
    def parse(cls, body: Mapping[str, Any], *, strict: bool = False) -> tuple[Self, list[str]]:
        """The request in `body` and the names of fields that nobody knows.

        InvalidRequest or UnsupportedParameter, with the field's path as `param`. strict: a field
        that nobody knows is an InvalidRequest too.
        """
        taken, unknown = settle(body, {*cls.model_fields, *cls.aliases}, cls.rules)
        sent_as = cls._rename(taken)
        try:
            request = cls.model_validate(taken)
        except ValidationError as error:
            raise _refusal(error, sent_as) from error
        unknown += request.unknown_inside()
        if strict and unknown:
            raise InvalidRequest(f"Unknown parameter: '{unknown[0]}'.", param=unknown[0])
        return request, unknown

    def unknown_inside(self) -> list[str]:
        """Paths of fields that nobody knows inside the fields of this request."""
        return []

    @classmethod
    def _rename(cls, taken: dict[str, Any]) -> dict[str, str]:
        """Put aliases under our names; our names → what the caller wrote."""
        sent_as: dict[str, str] = {}
        for alias, name in cls.aliases.items():
            if alias not in taken:
                continue
            value = taken.pop(alias)
            if taken.setdefault(name, value) != value:
                raise InvalidRequest(
                    f"'{alias}' and '{name}' mean the same and differ.", param=alias
                )
            sent_as[name] = alias
        return sent_as


def path(location: Iterable[int | str]) -> str:
    """`messages[0].content` for ("messages", 0, "=user", "content")."""
    text = ""
    for part in location:
        if isinstance(part, int):
            text += f"[{part}]"
        elif not part.startswith(TAG):
            text += f".{part}" if text else part
    return text


def _shortened(text: str) -> str:
    """A message that repeats what was sent, which may be anything, is no longer than it is read."""
    return text if len(text) <= LONGEST_MESSAGE else f"{text[:LONGEST_MESSAGE]}…"


def _refusal(error: ValidationError, sent_as: Mapping[str, str]) -> RequestError:
    first = error.errors(include_url=False, include_context=True)[0]
    context = first.get("ctx", {})
    # A check across fields names its culprit itself.
    inside = context.get("inside", ())
    param = context.get("param") or path((*first["loc"], *inside)) or None
    param = sent_as.get(param, param) if param else None
    kind = first["type"]
    if kind == "unsupported":
        return UnsupportedParameter(_shortened(first["msg"]), param=param)
    if kind == "missing":
        return InvalidRequest(f"Missing required parameter: '{param}'.", param=param)
    message = first["msg"]
    if kind in _EXPECTED:
        message = fields.wrong_type(_EXPECTED[kind], first["input"]).message()
    message = _shortened(message[0].lower() + message[1:].rstrip("."))
    what = "type" if kind in _EXPECTED or kind == "wrong_type" else "value"
    return InvalidRequest(f"Invalid {what} for '{param}': {message}.", param=param)
