"""The capability table, held against what the gateway does with every parameter there is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from flask import Flask
from openai.types import completion_create_params as completion
from openai.types import embedding_create_params as embedding
from openai.types.chat import completion_create_params as chat
from openai.types.responses import response_create_params as responses
from tests.gateway.engines import FakeManager
from tests.gateway.parameter_examples import BASE, EXAMPLES, WITH, WITHIN, Fields

from tricorn.gateway.app import create_app
from tricorn.schemas.endpoints import ENDPOINTS
from tricorn.settings.config import Settings

OPENAI: dict[str, tuple[type, ...]] = {
    "/v1/chat/completions": (chat.CompletionCreateParamsBase, chat.CompletionCreateParamsStreaming),
    "/v1/completions": (
        completion.CompletionCreateParamsBase,
        completion.CompletionCreateParamsStreaming,
    ),
    "/v1/embeddings": (embedding.EmbeddingCreateParams,),
    "/v1/responses": (
        responses.ResponseCreateParamsBase,
        responses.ResponseCreateParamsStreaming,
    ),
}
"""The request schemas of OpenAI's own package."""

HERMES = (
    "{% if tools %}<tools>{% for t in tools %}{{ t | tojson }}{% endfor %}</tools>{% endif %}"
    "{% for m in messages %}{{ m.role }}: {% if m.content %}{{ m.content }}{% endif %}"
    '{% for c in m.tool_calls or [] %}<tool_call>\n{"name": "{{ c.function.name }}", '
    '"arguments": {{ c.function.arguments | tojson }}}\n</tool_call>{% endfor %}\n{% endfor %}'
    "{% if enable_thinking is defined and not enable_thinking %}<think></think>{% endif %}"
)
MODELS: dict[str, dict[str, Any]] = {
    "plain": {"prompt_logprobs": False},
    "able": {"constraints": True, "fill_in_middle": True, "vision": True, "chat_template": HERMES},
    "no-chat": {"chat_template": "{% for"},
    "vectors": {"pooling": "embed"},
    "cut": {"pooling": "embed", "matryoshka": True},
    "ranks": {"pooling": "score"},
}
NO_ROWS = {
    "/tokenize",
    "/v1/tokenize",
    "/detokenize",
    "/v1/detokenize",
    "/v1/chat/completions/render",
    "/v1/messages/count_tokens",
    "/v1/responses/<response_id>/cancel",
    "/api/show",
    "/api/pull",
    "/v1/models/load",
    "/v1/models/pull",
    "/v1/models/<path:name>/unload",
    "/v1/models/<path:name>/retry",
    "/v1/admin/reload",
    "/v1/admin/gateway/restart",
    "/admin/keys",
    "/admin/keys/<key_id>/rotate",
    "/v1/admin/log-level",
    "/instances",
    "/api/create",
    "/api/copy",
    "/api/push",
}
"""They take what the others take, and generate nothing."""


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    manager = FakeManager({**MODELS, "org/model:Q4_1:a b": {}})
    folder: Path = tmp_path_factory.mktemp("run")
    yield create_app(Settings(run_dir=folder, data_dir=folder), manager)
    manager.close()


@pytest.fixture(scope="module")
def http(app: Flask) -> Iterator[httpx.Client]:
    with httpx.Client(
        transport=httpx.WSGITransport(app=app),
        base_url="http://tricorn",  # type: ignore[arg-type]
    ) as client:
        yield client


def load(app: Flask, model: str) -> None:
    app.extensions["tricorn"].manager.worker(model)


def table(http: httpx.Client, model: str) -> dict[str, Any]:
    answer = http.get(f"/v1/models/{model}/capabilities")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def fault(http: httpx.Client, path: str, model: str, fields: Fields, cell: Fields) -> str | None:
    """What the answer does that the cell does not say. fields: the first one is asked about."""
    answer = http.post(path, json={"model": model, **BASE[path], **fields})
    ignored = answer.headers.get("x-tricorn-ignored")
    if ignored:
        return f"ignored {ignored}"
    if cell["status"] != "refused" or next(iter(fields.values())) in cell.get("accepts", ()):
        return None if answer.status_code == 200 else answer.text
    if answer.status_code != 400:
        return f"{answer.status_code}, not refused"
    error = answer.json()["error"]
    if isinstance(error, str):  # Ollama's have neither code nor name
        return None
    named = str(error["param"]).partition(".")[0].partition("[")[0]
    if error["code"] != "unsupported_parameter" or named not in fields:
        return str(error)
    return None


@pytest.mark.parametrize("path", sorted(OPENAI))
def test_nothing_of_openais_is_missing(http: httpx.Client, app: Flask, path: str) -> None:
    """Every parameter of OpenAI's own package has a cell; a new version's new one fails here."""
    load(app, "vectors" if "embed" in path else "able")
    row = table(http, "vectors" if "embed" in path else "able")["endpoints"][path]
    known = {name for schema in OPENAI[path] for name in schema.__annotations__}
    assert known - set(row["parameters"]) == set()


@pytest.mark.parametrize("model", sorted(MODELS))
@pytest.mark.parametrize("path", sorted(BASE))
def test_every_parameter_fares_as_the_table_says(
    http: httpx.Client, app: Flask, path: str, model: str
) -> None:
    """200 where it is enforced, emulated or a hint; 400 that names it where it is refused."""
    load(app, model)
    if (path, model) == ("/api/generate", "no-chat"):
        pytest.skip("its prompt has a cell of its own for that")
    row = table(http, model)["endpoints"][path]
    if row["status"] == "refused":
        refused = http.post(path, json={"model": model, **BASE[path]})
        assert (refused.status_code, row.get("parameters")) == (400, None)
        if not path.startswith("/api/"):
            assert refused.json()["error"]["code"] == "unsupported_parameter"
        return
    assert http.post(path, json={"model": model, **BASE[path]}).status_code == 200
    faults = {}
    for name, cell in row["parameters"].items():
        if name == "model" or name in BASE[path]:
            assert cell["status"] == "enforced"
            continue
        fields = {name: EXAMPLES[path][name], **WITH.get(path, {}).get(name, {})}
        if name == "previous_response_id":
            fields[name] = http.post(path, json={"model": model, **BASE[path]}).json()["id"]
        faults[name] = fault(http, path, model, fields, cell)
    assert {name: why for name, why in faults.items() if why} == {}


@pytest.mark.parametrize("model", ["plain", "able", "no-chat"])
@pytest.mark.parametrize("path", sorted(WITHIN))
def test_parts_fare_as_the_table_says(
    http: httpx.Client, app: Flask, path: str, model: str
) -> None:
    """The same of parts and values that the table lists by themselves."""
    load(app, model)
    faults = {
        (name, part): fault(http, path, model, WITHIN[path][name, part], cell)
        for name, whole in table(http, model)["endpoints"][path].get("parameters", {}).items()
        for part, cell in whole.get("within", {}).items()
    }
    assert {where: why for where, why in faults.items() if why} == {}


def test_what_a_model_can_shows(http: httpx.Client, app: Flask) -> None:
    """Of the same parameter, every status that a model's abilities give it."""

    def cells(model: str, path: str = "/v1/chat/completions") -> Any:
        load(app, model)
        return table(http, model)["endpoints"][path]["parameters"]

    plain, able = cells("plain"), cells("able")
    assert plain["tools"]["status"] == "emulated"
    assert able["tools"]["status"] == "enforced"
    assert plain["enable_thinking"]["status"] == "hint"
    assert able["enable_thinking"] == {
        "status": "enforced",
        "reason": "its chat template reads enable_thinking",
    }
    assert plain["guided_json"]["status"] == "refused"
    assert able["guided_json"] == {"status": "enforced"}
    assert plain["store"]["accepts"] == [False]
    assert plain["repeat_penalty"]["same_as"] == "repetition_penalty"
    assert cells("vectors", "/v1/embeddings")["dimensions"]["accepts"] == [8]
    assert cells("cut", "/v1/embeddings")["dimensions"] == {"status": "enforced"}
    assert table(http, "able")["dialect"] == {
        "tools": "hermes",
        "reasoning": "think",
        "template_variables": ["enable_thinking"],
    }
    assert table(http, "no-chat")["dialect"] is None


def test_a_model_that_was_never_loaded(http: httpx.Client) -> None:
    """What is the same for all is known; the rest is not, and nothing is loaded to find out."""
    told = table(http, "org/model:Q4_1:a b")
    assert (told["id"], told["loaded"], told["dialect"]) == ("org/model:Q4_1:a b", False, None)
    row = told["endpoints"]["/v1/chat/completions"]
    assert row["status"] == "unknown until loaded"
    status = {name: cell["status"] for name, cell in row["parameters"].items()}
    assert status["temperature"] == "enforced"
    assert status["user"] == "hint"
    assert status["audio"] == "refused"
    assert status["tools"] == status["guided_json"] == "unknown until loaded"
    assert table(http, "org/model:Q4_1:a b")["loaded"] is False
    assert http.get("/v1/models/org/model:Q4_1:a b/capabilities/").json() == told


def test_an_unknown_model(http: httpx.Client) -> None:
    """404 that names the models there are."""
    answer = http.get("/v1/models/org/none/capabilities")
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "model_not_found"


def test_every_route_has_its_row(app: Flask) -> None:
    """A route that takes a request is registered, under every path that it has."""
    rows = {path for endpoint in ENDPOINTS for path in (endpoint.path, *endpoint.also)}
    routes = {rule.rule for rule in app.url_map.iter_rules() if "POST" in (rule.methods or ())}
    assert routes - NO_ROWS == rows
