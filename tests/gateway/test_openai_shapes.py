"""Every answer has exactly OpenAI's shape, as OpenAI's own package expresses it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from flask import Flask
from openai.types import Completion, CreateEmbeddingResponse, Model
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.shared import ErrorObject
from pydantic import ValidationError
from tests.gateway.engines import FakeManager
from tests.gateway.strict import check

from tricorn.gateway.app import create_app
from tricorn.settings.config import Settings

CALL = '<tool_call>\n{"name": "f", "arguments": {"a": 1}}\n</tool_call>'
THINKING = (
    "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}{% if enable_thinking %}"
    "<think>{% endif %}{# </think> #}"
)
MODELS: dict[str, dict[str, Any]] = {
    "echo": {},
    "caller": {"answer": f"Well.\n{CALL}\n{CALL}"},
    "held": {"answer": CALL, "constraints": True},
    "thinker": {"answer": f"<think>Hm.</think>Yes.\n{CALL}", "chat_template": THINKING},
    "bound": {"constraints": True},
    "vectors": {"pooling": "embed"},
    "dies": {"endless": True, "answer": "abc ", "crash_at_token": 40, "token_delay_s": 0.01},
    "asleep": {},
}
USER: Any = [{"role": "user", "content": "Hi there"}]
TOOLS: Any = [{"type": "function", "function": {"name": "f"}}]
LOGPROBS: dict[str, Any] = {"logprobs": True, "top_logprobs": 2}
CHATS: list[tuple[str, dict[str, Any]]] = [
    ("echo", {}),
    ("echo", {"n": 2, **LOGPROBS}),
    ("echo", {"max_tokens": 1}),
    ("echo", {"stop": ["i"]}),
    ("caller", {"tools": TOOLS}),
    ("caller", {"tools": TOOLS, "n": 2, **LOGPROBS}),
    ("held", {"functions": [TOOLS[0]["function"]]}),
    ("thinker", {}),
    ("thinker", {"tools": TOOLS, "n": 2, **LOGPROBS}),
    ("bound", {"response_format": {"type": "json_object"}}),
    ("echo", {"truncation": "auto"}),
]
COMPLETIONS: list[dict[str, Any]] = [
    {},
    {"prompt": ["a", "b"], "n": 2, "logprobs": 2},
    {"echo": True, "logprobs": 2},
    {"echo": True, "max_tokens": 0},
    {"max_tokens": 1},
]
STREAM_OPTIONS = [{}, {"include_usage": True}, {"continuous_usage_stats": True}]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("run")


@pytest.fixture(scope="module")
def manager() -> Iterator[FakeManager]:
    manager = FakeManager(dict(MODELS))
    yield manager
    manager.close()


@pytest.fixture(scope="module")
def http(manager: FakeManager, folder: Path) -> Iterator[httpx.Client]:
    with client(create_app(Settings(run_dir=folder, data_dir=folder), manager)) as http:
        yield http


def client(app: Flask) -> httpx.Client:
    return httpx.Client(
        transport=httpx.WSGITransport(app=app, raise_app_exceptions=False),  # type: ignore[arg-type]
        base_url="http://tricorn",
    )


def post(http: httpx.Client, path: str, **fields: Any) -> str:
    answer = http.post(path, json=fields)
    assert answer.status_code == 200, answer.text
    return answer.text


def events(text: str) -> list[str]:
    lines = [line for line in text.split("\n") if line and not line.startswith(":")]
    assert all(line.startswith("data: ") for line in lines)
    return [line.removeprefix("data: ") for line in lines]


@pytest.mark.parametrize(("model", "fields"), CHATS)
def test_chat(http: httpx.Client, model: str, fields: dict[str, Any]) -> None:
    """Whole answers, with whatever a request may ask for."""
    text = post(http, "/v1/chat/completions", model=model, messages=USER, **fields)
    answer = check(ChatCompletion, text)
    assert len(answer.choices) == fields.get("n", 1)
    assert answer.usage is not None


def test_chat_with_the_prompts_logprobs(http: httpx.Client) -> None:
    """vLLM's extension stands where it is documented."""
    text = post(http, "/v1/chat/completions", model="echo", messages=USER, prompt_logprobs=1)
    assert (check(ChatCompletion, text).model_extra or {})["prompt_logprobs"]


@pytest.mark.parametrize("options", STREAM_OPTIONS, ids=str)
@pytest.mark.parametrize(("model", "fields"), CHATS)
def test_chat_chunks(
    http: httpx.Client, model: str, fields: dict[str, Any], options: dict[str, Any]
) -> None:
    """Every chunk of a stream, and usage in those that were to have it."""
    fields = {"messages": USER, "stream": True, "stream_options": options, **fields}
    *chunks, done = events(post(http, "/v1/chat/completions", model=model, **fields))
    answers = [check(ChatCompletionChunk, chunk) for chunk in chunks]

    assert done == "[DONE]"
    ends = [c.index for answer in answers for c in answer.choices if c.finish_reason]
    assert sorted(ends) == list(range(fields.get("n", 1)))
    counted = [answer.usage is not None for answer in answers]
    if options.get("include_usage"):
        assert counted == [False] * (len(answers) - 1) + [True]
        assert answers[-1].choices == []
    else:
        assert set(counted) == {bool(options)}


@pytest.mark.parametrize("fields", COMPLETIONS, ids=str)
def test_completions(http: httpx.Client, fields: dict[str, Any]) -> None:
    """Whole, and every chunk of a stream: the package has one model for both."""
    fields = {"prompt": "abc", **fields}
    _check_completion(post(http, "/v1/completions", model="echo", **fields))
    for options in STREAM_OPTIONS:
        text = post(
            http, "/v1/completions", model="echo", stream=True, stream_options=options, **fields
        )
        *chunks, done = events(text)
        answers = [_check_completion(chunk) for chunk in chunks]
        assert done == "[DONE]"
        assert [answer.usage is not None for answer in answers] == [
            bool(options.get("continuous_usage_stats")) or not answer.choices for answer in answers
        ]


def _check_completion(text: str) -> Completion:
    """The package knows no null where OpenAI sends one: a chunk's reason before its end, and the
    first token of a prompt that is repeated, which nothing predicts."""
    answer = json.loads(text)
    for choice in answer["choices"]:
        choice["finish_reason"] = choice["finish_reason"] or "stop"
        logprobs = choice["logprobs"] or {"token_logprobs": [0.0], "top_logprobs": [{}]}
        for name, filler in (("token_logprobs", 0.0), ("top_logprobs", {})):
            if logprobs[name][0] is None:
                logprobs[name][0] = filler
    return check(Completion, json.dumps(answer))


@pytest.mark.parametrize(
    ("setting", "names"),
    [
        ("both", {"reasoning_content", "reasoning"}),
        ("reasoning", {"reasoning"}),
        ("reasoning_content", {"reasoning_content"}),
    ],
)
def test_the_name_of_thoughts(manager: FakeManager, folder: Path, setting: Any, names: Any) -> None:
    """REASONING_FIELD, in whole answers and in streams."""
    settings = Settings(run_dir=folder, data_dir=folder, reasoning_field=setting)
    with client(create_app(settings, manager)) as http:
        fields = {"model": "thinker", "messages": USER}
        message = json.loads(post(http, "/v1/chat/completions", **fields))["choices"][0]["message"]
        *chunks, _ = events(post(http, "/v1/chat/completions", stream=True, **fields))
    deltas = [json.loads(chunk)["choices"][0]["delta"] for chunk in chunks]
    given = {name: "".join(delta.get(name) or "" for delta in deltas) for name in names}

    assert {name for name in message if name.startswith("reasoning")} == names
    assert {name for delta in deltas for name in delta if name.startswith("reasoning")} == names
    assert given == {name: message[name] for name in names} == dict.fromkeys(names, "Hm.")


def test_best_of_and_prompt_logprobs(http: httpx.Client) -> None:
    """What a stream does not have."""
    fields = {"best_of": 2, "logprobs": 1, "prompt_logprobs": 1}
    text = post(http, "/v1/completions", model="echo", prompt="abc", **fields)
    assert (check(Completion, text).choices[0].model_extra or {})["prompt_logprobs"]


def test_usage_grows(http: httpx.Client) -> None:
    """continuous_usage_stats: each chunk counts what came up to it."""
    for path, fields in (
        ("/v1/chat/completions", {"messages": USER}),
        ("/v1/completions", {"prompt": "abc"}),
    ):
        options = {"continuous_usage_stats": True, "include_usage": True}
        text = post(http, path, model="echo", stream=True, stream_options=options, **fields)
        counts = [json.loads(one)["usage"] for one in events(text)[:-1]]
        tokens = [count["completion_tokens"] for count in counts]
        assert tokens == sorted(tokens)
        assert tokens[0] == 1 < tokens[-1]
        assert {count["prompt_tokens"] for count in counts} == {counts[0]["prompt_tokens"]}


@pytest.mark.parametrize("inputs", ["abc", ["a", "b"], [97, 98]])
def test_embeddings(http: httpx.Client, inputs: object) -> None:
    """Vectors as floats; the package has no model for base64."""
    text = post(http, "/v1/embeddings", model="vectors", input=inputs)
    assert check(CreateEmbeddingResponse, text).data


def test_models(http: httpx.Client) -> None:
    """The list and each one of it, loaded or not."""
    listed = http.get("/v1/models").json()
    assert set(listed) == {"object", "data"}
    assert [check(Model, json.dumps(one)).id for one in listed["data"]] == list(MODELS)
    assert check(Model, http.get("/v1/models/asleep").text).id == "asleep"


@pytest.mark.parametrize(
    ("path", "fields", "status"),
    [
        ("/v1/chat/completions", {}, 400),
        ("/v1/chat/completions", {"model": "echo", "messages": USER, "store": True}, 400),
        ("/v1/chat/completions", {"model": "nobody", "messages": USER}, 404),
        ("/v1/embeddings", {"model": "echo", "input": "x"}, 400),
        ("/v1/nowhere", {}, 404),
        ("/v1/models", {}, 405),
    ],
)
def test_errors(http: httpx.Client, path: str, fields: dict[str, Any], status: int) -> None:
    """One envelope for all of them."""
    answer = http.post(path, json=fields)
    assert answer.status_code == status
    _error(answer.text)


def test_an_error_in_a_stream(http: httpx.Client) -> None:
    """An event with the same envelope, and no [DONE] behind it."""
    text = post(http, "/v1/chat/completions", model="dies", messages=USER, stream=True)
    *chunks, last = events(text)
    for chunk in chunks:
        check(ChatCompletionChunk, chunk)
    assert _error(last).code == "engine_lost"


def _error(text: str) -> ErrorObject:
    envelope = json.loads(text)
    assert set(envelope) == {"error"}
    assert set(envelope["error"]) == {"message", "type", "param", "code"}
    return check(ErrorObject, json.dumps(envelope["error"]))


def test_the_check_finds_what_is_wrong() -> None:
    """A field too many, one too few and one of another type."""
    good = {"id": "m", "object": "model", "created": 1, "owned_by": "o", "root": "m"}
    check(Model, json.dumps(good))
    with pytest.raises(AssertionError, match="extra"):
        check(Model, json.dumps(good | {"extra": 1}))
    for bad in (good | {"created": "1"}, {"id": "m"}):
        with pytest.raises(ValidationError):
            check(Model, json.dumps(bad))
