"""`/openapi.json` says all there is to say of the gateway's routes, and it is true."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import schemathesis
from flask import Flask
from tests.gateway.engines import FakeManager
from tests.gateway.parameter_examples import BASE, EXAMPLES, WITH, WITHIN, Fields

from tricorn.errors import EngineGenerateError, RequestError
from tricorn.gateway.app import create_app
from tricorn.gateway.openapi.document import document, methods, template
from tricorn.gateway.openapi.families import FAMILIES
from tricorn.gateway.openapi.operation import Operation
from tricorn.schemas.endpoints import ENDPOINTS, Endpoint
from tricorn.settings.config import Settings

OPERATIONS = [operation for family in FAMILIES for operation in family.operations]
MODELS: dict[str, dict[str, Any]] = {
    "chats": {"constraints": True},
    "vectors": {"pooling": "embed"},
    "ranks": {"pooling": "score"},
}
EMBEDDING = ("/v1/embeddings", "/api/embed", "/api/embeddings")
RANKING = ("/v1/rerank", "/v2/rerank", "/rerank", "/v1/score", "/score")


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    manager = FakeManager(dict(MODELS))
    folder = tmp_path_factory.mktemp("openapi")
    yield create_app(Settings(run_dir=folder / "run", data_dir=folder / "data"), manager)
    manager.close()


@pytest.fixture(scope="module")
def described(app: Flask) -> dict[str, Any]:
    answer: dict[str, Any] = app.test_client().get("/openapi.json").get_json()
    return answer


@cache
def validator(path: str, method: str = "post") -> Any:
    """Of the body of a request. Made of the description itself, as a client would."""
    whole = _static()
    schema = whole["paths"][path][method]["requestBody"]["content"]["application/json"]["schema"]
    components = {"components": whole["components"]}
    return jsonschema_rs.Draft202012Validator({**schema, **components})


@cache
def _static() -> dict[str, Any]:
    app = create_app(Settings(run_dir=Path("/nonexistent"), data_dir=Path("/nonexistent")))
    return document(app.url_map.iter_rules(), Settings())


# --- the document ---------------------------------------------------------------------------------


def test_every_route_is_described(app: Flask, described: dict[str, Any]) -> None:
    """And nothing else is."""
    routes = {
        (method, template(rule)) for rule in app.url_map.iter_rules() for method in methods(rule)
    }
    missing = routes - {(one.method, one.path) for one in OPERATIONS}
    assert not missing, (
        f"Not described: {sorted(missing)}. Add an Operation for each to the file of its family in "
        "src/tricorn/gateway/openapi/families/, and what it answers to ../answers/."
    )
    shown = {(method, path) for path, item in described["paths"].items() for method in item}
    assert shown == routes
    gone = {(one.method, one.path) for one in OPERATIONS} - routes
    assert not gone, f"Described, and no routes any more: {sorted(gone)}."


def test_it_is_openapi(described: dict[str, Any]) -> None:
    """It follows the specification's own schema, and nothing that it refers to is missing."""
    assert described["openapi"].startswith("3.1")
    schemathesis.openapi.from_dict(described).validate()
    schemas = described["components"]["schemas"]
    referred = set(re.findall(r"'#/components/schemas/(\w+)'", str(described)))
    assert referred == set(schemas)
    for name, schema in schemas.items():
        jsonschema_rs.meta.validate(schema)
        assert schema["title"] == name


def test_operations_have_names_of_their_own() -> None:
    """Generated clients have a function for each."""
    assert [
        name for name, count in Counter(one.id for one in OPERATIONS).items() if count > 1
    ] == []
    assert all(one.id.isidentifier() for one in OPERATIONS)


def test_addresses_are_relative(described: dict[str, Any]) -> None:
    """Behind a proxy that has put Tricorn below a path, they hold too."""
    assert [server["url"] for server in described["servers"]] == ["."]


def test_what_needs_a_key(described: dict[str, Any]) -> None:
    """All three ways to send one; nothing asks for one to tell that the process is up."""
    assert set(described["components"]["securitySchemes"]) == {"bearer", "x-api-key", "api-key"}
    assert described["paths"]["/health"]["get"]["security"] == []
    chat = described["paths"]["/v1/chat/completions"]["post"]
    # On loopback nobody needs one.
    assert chat["security"] == [{"bearer": []}, {"x-api-key": []}, {"api-key": []}, {}]
    assert "Permission: `chat`." in chat["description"]
    assert {"400", "401", "403", "404", "413", "415", "429", "500", "503", "507"} <= set(
        chat["responses"]
    )


@pytest.mark.parametrize(
    ("path", "shape"),
    [
        ("/v1/chat/completions", "OpenAIError"),
        ("/v1/messages", "AnthropicError"),
        ("/api/chat", "OllamaError"),
    ],
)
def test_errors_have_the_familys_shape(described: dict[str, Any], path: str, shape: str) -> None:
    """As the routes answer them."""
    schema = described["paths"][path]["post"]["responses"]["400"]["content"]["application/json"]
    assert schema == {"schema": {"$ref": f"#/components/schemas/{shape}"}}


# --- what it says of requests ---------------------------------------------------------------------


def _answered_by_models() -> list[Any]:
    return [
        pytest.param(operation, name, id=f"{operation.id}-{name}")
        for operation in OPERATIONS
        for name in operation.examples
        if EngineGenerateError in operation.errors
    ]


@pytest.mark.parametrize(("operation", "name"), _answered_by_models())
def test_examples_work(app: Flask, operation: Operation, name: str) -> None:
    """Sent as they are, but for the model's name."""
    body = dict(operation.examples[name])
    ranks, embeds = operation.path in RANKING, operation.path in EMBEDDING
    body["model"] = "ranks" if ranks else "vectors" if embeds else "chats"
    answer = app.test_client().post(operation.path, json=body)
    assert answer.status_code == 200, answer.get_data(as_text=True)


@pytest.mark.parametrize(
    "operation", [one for one in OPERATIONS if one.body], ids=lambda one: one.id
)
def test_examples_follow_the_schema(operation: Operation) -> None:
    """There is one for each body, and it is what the schema beside it says."""
    assert operation.examples
    for example in operation.examples.values():
        validator(operation.path, operation.method).validate(dict(example))


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda one: one.path)
def test_what_is_accepted_is_described(endpoint: Endpoint) -> None:
    """Every parameter that the request's model takes, with a plausible value, follows the schema;
    what nobody knows has no place there."""
    path, request = endpoint.path, endpoint.request
    fields = _static()["components"]["schemas"][request.__name__]["properties"]
    for name, value in EXAMPLES[path].items():
        body: Fields = {"model": "m", **BASE[path], **WITH.get(path, {}).get(name, {}), name: value}
        try:
            _, unknown = request.parse(body)
        except RequestError:
            continue
        validator(path).validate(body)
        assert (name in fields) == (name not in unknown), name
    for asked in WITHIN.get(path, {}).values():
        body = {"model": "m", **BASE[path], **asked}
        try:
            request.parse(body)
        except RequestError:
            continue
        validator(path).validate(body)


@pytest.mark.parametrize("name", ["model", "messages", "temperature"])
def test_wrong_types_are_no_part_of_it(name: str) -> None:
    """The schema is more than a list of names."""
    body = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], name: {"a": 1}}
    assert not validator("/v1/chat/completions").is_valid(body)


def test_absent_and_null_are_one() -> None:
    """As requests are read: clients send null for what they do not set."""
    body = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], "tools": None}
    assert validator("/v1/chat/completions").is_valid(body)


def test_fields_are_told_of(described: dict[str, Any]) -> None:
    """What stands below a field in the source stands in the description."""
    properties = described["components"]["schemas"]["MessagesRequest"]["properties"]
    assert (
        properties["max_tokens"]["description"] == "0 only puts the prompt into the prefix cache."
    )
