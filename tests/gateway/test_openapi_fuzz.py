"""Thousands of requests made up from `/openapi.json`, many of them wrong: none makes the gateway
fail, and each is answered as described.

    wild    whatever the description allows
    wrong   what it does not allow
    near    a body that works, with two more fields of any value that is allowed

Answers are held against a closed copy of the description: a field that it does not name is a fault.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from flask import Flask
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from tests.gateway.order_taker import OrderTaker

from tricorn.access.terms import Terms
from tricorn.gateway.app import create_app
from tricorn.gateway.openapi.families import FAMILIES
from tricorn.gateway.openapi.operation import MODEL, Operation
from tricorn.gateway.services import EXTENSION
from tricorn.settings.config import Settings

MODELS: dict[str, dict[str, Any]] = {
    "chats": {"constraints": True, "fill_in_middle": True},
    "vectors": {"pooling": "embed"},
    "ranks": {"pooling": "score"},
}
KINDS = {
    **dict.fromkeys(("EmbeddingRequest", "OllamaEmbed", "OllamaEmbeddings"), "vectors"),
    **dict.fromkeys(("RerankRequest", "ScoreRequest"), "ranks"),
}
"""Requests that need another model than one that chats."""
WITHOUT_END = "/v1/events"
OPERATIONS = [
    operation
    for family in FAMILIES
    for operation in family.operations
    if operation.path != WITHOUT_END
]
REQUESTS = {
    model.__name__: operation.examples for operation in OPERATIONS for model in operation.body
}
OPEN = {"ResponseEvent", "AnthropicEvent", "Progress", *REQUESTS}
"""Other fields of events depend on their kind."""
SMALL = {"n", "best_of", "max_tokens", "max_completion_tokens", "max_output_tokens"}
"""Parameters that say how much is to be done …"""
MOST = 4
"""… and how much is enough here."""
CHECKS = [status_code_conformance, content_type_conformance, response_schema_conformance]
TIMES = int(os.environ.get("FUZZ_TIMES", "1"))
EXAMPLES = {kind: TIMES * count for kind, count in (("wild", 5), ("wrong", 6), ("near", 20))}
"""FUZZ_TIMES=10 looks longer."""

Described = dict[str, Any]


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    manager = OrderTaker(dict(MODELS))
    folder = tmp_path_factory.mktemp("fuzz")
    app = create_app(Settings(run_dir=folder / "run", data_dir=folder / "data"), manager)
    for name in MODELS:
        manager.worker(name)
    yield app
    manager.close()


@pytest.fixture(scope="module")
def headers(app: Flask) -> dict[str, str]:
    """With a key that may do everything: others are made on the way, and then one is needed."""
    _, text = app.extensions[EXTENSION].keys.create("fuzz", Terms(permissions=("all",)))
    return {"Authorization": f"Bearer {text}"}


@pytest.fixture(scope="module")
def known(app: Flask, headers: dict[str, str]) -> dict[str, list[str]]:
    """What may stand for a variable in a path. What is deleted is the first of them or the last,
    which is not there; all else is asked of the others."""
    client = app.test_client()

    def made(path: str, body: dict[str, Any]) -> str:
        return str(client.post(path, json=body, headers=headers).get_json()["id"])

    response, key = {"model": "chats", "input": "Hi"}, {"name": "x"}
    return {
        "model": ["chats", *MODELS, "missing"],
        "response_id": [
            made("/v1/responses", response),
            made("/v1/responses", response),
            "missing",
        ],
        "key_id": [made("/admin/keys", key), made("/admin/keys", key), "missing"],
        "instance_id": ["mine", "mine", "missing"],
        "file": ["swagger.svg", "start.js", "swagger-ui.css", "missing"],
    }


@pytest.fixture(scope="module")
def schemas(app: Flask, known: dict[str, list[str]]) -> dict[str, Any]:
    """By the kind of requests that are made from it."""
    described = _closed(app.test_client().get("/openapi.json").get_json())
    wild, near = (
        schemathesis.openapi.from_dict(one) for one in (described, _near(described, known))
    )
    wild.app = near.app = app
    return {"wild": wild, "wrong": wild, "near": near}


def _closed(described: Described) -> Described:
    """What answers consist of has no other fields than those described, and little is asked for."""
    # Where it stands is where it was read.
    described["servers"] = [{"url": "/"}]
    for name, schema in described["components"]["schemas"].items():
        fields = schema.get("properties", {})
        if name not in OPEN and fields:
            schema.setdefault("additionalProperties", False)
        if name in REQUESTS:
            for field in SMALL & fields.keys():
                fields[field] = {"type": "integer", "minimum": 1, "maximum": MOST}
            if "ignore_eos" in fields:
                fields["ignore_eos"] = {"enum": [False]}
    return described


def _near(described: Described, known: dict[str, list[str]]) -> Described:
    near = copy.deepcopy(described)
    for name, schema in near["components"]["schemas"].items():
        if name not in REQUESTS:
            continue
        fields, bodies = schema["properties"], [dict(body) for body in REQUESTS[name].values()]
        needed = set.intersection(*(set(body) for body in bodies))
        for field in needed:
            values = [body[field] for body in bodies]
            fields[field] = {"enum": [KINDS.get(name, "chats")] if MODEL in values else values}
        schema["required"] = sorted(needed)
        schema["maxProperties"] = len(needed) + 2
        schema["additionalProperties"] = False
    for item in near["paths"].values():
        for method, operation in item.items():
            for parameter in operation.get("parameters", ()):
                if parameter["in"] == "path":
                    doomed, *others = known[parameter["name"]]
                    deletes = method == "delete"
                    parameter["schema"] = {"enum": [doomed, others[-1]] if deletes else others}
    return near


def _only_as_described(operation: Operation) -> Any:
    """No 5xx but what the description has; never 500: that is the gateway's own fault."""
    described = {answer.status for answer in operation.answers}
    described |= {error.status for error in operation.errors}

    def check(context: Any, response: Any, case: Any) -> bool | None:
        if response.status_code != 500 and response.status_code in described:
            return None
        return not_a_server_error(context, response, case)

    return check


def _cases() -> list[Any]:
    return [
        pytest.param(operation, kind, id=f"{operation.id}-{kind}")
        for operation in OPERATIONS
        for kind in EXAMPLES
        if kind == "near" or operation.body or _asks(operation)
    ]


def _asks(operation: Operation) -> bool:
    """Its query can be wrong, too."""
    return any(parameter.place == "query" for parameter in operation.parameters)


@pytest.mark.parametrize(("operation", "kind"), _cases())
def test_fuzz(
    operation: Operation, kind: str, schemas: dict[str, Any], headers: dict[str, str]
) -> None:
    """The same requests each time."""
    mode = GenerationMode.NEGATIVE if kind == "wrong" else GenerationMode.POSITIVE
    checks = [*CHECKS, _only_as_described(operation)]

    @given(case=schemas[kind][operation.path][operation.method].as_strategy(generation_mode=mode))
    @settings(
        max_examples=EXAMPLES[kind],
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def fuzz(case: Any) -> None:
        case.call_and_validate(headers=headers, checks=checks)

    fuzz()
