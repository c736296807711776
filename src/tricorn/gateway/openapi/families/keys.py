"""API keys, and what was used by them"""

from __future__ import annotations

from tricorn.errors import Conflict, KeyNotFound
from tricorn.gateway.openapi.answers import service as answers
from tricorn.gateway.openapi.failures import BODY, NAMED, QUERY, Errors
from tricorn.gateway.openapi.operation import Family, Operation, Parameter, json
from tricorn.schemas.keys import KeyChange, KeyRequest

_DAY = {"type": "string", "format": "date"}
_FOUND: Errors = (KeyNotFound, *NAMED)

FAMILY = Family(
    "Keys and usage",
    "Who may do what, and what was used.",
    (
        Operation(
            "post",
            "/admin/keys",
            "createKey",
            "Make a key",
            body=(KeyRequest,),
            examples={
                "for one program": {
                    "name": "notebook",
                    "permissions": ["chat", "embeddings"],
                    "requests_per_minute": 60,
                }
            },
            answers=(json(answers.NewApiKey, about="With the key, told this once.", status=201),),
            errors=(*BODY, Conflict),
        ),
        Operation(
            "get",
            "/admin/keys",
            "listKeys",
            "All keys, those that are revoked too",
            answers=(json(answers.ApiKeyList),),
            errors=(),
        ),
        Operation(
            "get",
            "/admin/keys/{key_id}",
            "getKey",
            "One key",
            answers=(json(answers.ApiKey),),
            errors=_FOUND,
        ),
        Operation(
            "patch",
            "/admin/keys/{key_id}",
            "changeKey",
            "Change what a key may do; null takes a limit away",
            body=(KeyChange,),
            examples={"fewer": {"requests_per_minute": 10, "daily_tokens": None}},
            answers=(json(answers.ApiKey),),
            errors=(*_FOUND, *BODY, Conflict),
        ),
        Operation(
            "delete",
            "/admin/keys/{key_id}",
            "revokeKey",
            "Revoke a key for good",
            answers=(json(answers.ApiKey),),
            errors=(*_FOUND, Conflict),
        ),
        Operation(
            "post",
            "/admin/keys/{key_id}/rotate",
            "rotateKey",
            "Another key with the same id, limits and usage",
            answers=(json(answers.NewApiKey, about="With the key, told this once."),),
            errors=(*_FOUND, Conflict),
        ),
        Operation(
            "get",
            "/admin/usage",
            "getUsage",
            "Requests and tokens by key, model and day",
            parameters=(
                Parameter(
                    "days",
                    "So many days up to now.",
                    {"type": "integer", "minimum": 1, "maximum": 3660, "default": 30},
                ),
                Parameter("since", "The first day, in place of `days`.", _DAY),
                Parameter("until", "The last day.", _DAY),
                Parameter("key", "Only of the key with this id."),
                Parameter("model", "Only of this model."),
            ),
            answers=(json(answers.UsageReport),),
            errors=QUERY,
        ),
    ),
)
