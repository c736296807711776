"""What is kept of responses: continuing, listing, deleting, and what happens when it cannot be."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from flask import Flask
from openai.types.responses import ResponseItem
from pydantic import TypeAdapter
from tests.gateway.conftest import sdk_for
from tests.gateway.engines import ScriptedWorker
from tests.gateway.one_worker import OneWorker

from tricorn.engines.request import TokenDelta
from tricorn.errors import EngineGenerateError
from tricorn.worker.protocol import Delta, Failed, Finished, Start, Started

ITEM: TypeAdapter[Any] = TypeAdapter(ResponseItem)


def tokens(answer: Any) -> int:
    assert answer.usage is not None
    return int(answer.usage.input_tokens)


def test_a_conversation_goes_on(sdk: openai.OpenAI) -> None:
    """With all that was said; instructions are each request's own."""
    first = sdk.responses.create(model="echo", input="One", instructions="Be brief.")
    second = sdk.responses.create(model="echo", input="Two", previous_response_id=first.id)
    third = sdk.responses.create(model="echo", input="Three", previous_response_id=second.id)
    spelled = sdk.responses.create(
        model="echo",
        input=[
            {"role": "user", "content": "One"},
            {"role": "assistant", "content": "One"},
            {"role": "user", "content": "Two"},
            {"role": "assistant", "content": "Two"},
            {"role": "user", "content": "Three"},
        ],
    )
    assert tokens(third) == tokens(spelled)
    assert third.previous_response_id == second.id
    branch = sdk.responses.create(model="echo", input="Three", previous_response_id=first.id)
    assert tokens(branch) < tokens(third)


def test_it_is_there_after_a_restart(make_app: Callable[..., Flask]) -> None:
    """Also for another process, which is what each gateway worker is."""
    with sdk_for(make_app()) as before:
        first = before.responses.create(model="echo", input="One", metadata={"a": "b"})
    with sdk_for(make_app()) as after:
        again = after.responses.retrieve(first.id)
        assert again.to_dict() == first.to_dict()
        assert after.responses.create(
            model="echo", input="Two", previous_response_id=first.id
        ).output_text


def test_a_stream_is_stored_at_its_end(sdk: openai.OpenAI) -> None:
    """What its last event has, and it can be continued at once; one that was cut as well."""
    for limit in (None, 2):
        *_, last = sdk.responses.create(
            model="echo", input="One", stream=True, max_output_tokens=limit
        )
        assert last.type in ("response.completed", "response.incomplete")
        stored = sdk.responses.retrieve(last.response.id)
        assert stored.to_dict() == last.response.to_dict()
        sdk.responses.create(model="echo", input="Two", previous_response_id=stored.id)


def test_not_stored(sdk: openai.OpenAI, make_app: Callable[..., Flask]) -> None:
    """`store: false`, and a server that keeps nothing, which the response says."""
    with sdk_for(make_app(max_stored_responses=0)) as keepless:
        for client, options in ((sdk, {"store": False}), (keepless, {})):
            answer: Any = client.responses.create(model="echo", input="One", **options)  # type: ignore[call-overload]
            assert answer.model_extra["store"] is False
            with pytest.raises(openai.NotFoundError) as caught:
                client.responses.retrieve(answer.id)
            assert caught.value.code == "response_not_found"


def test_deleting(sdk: openai.OpenAI, http: httpx.Client) -> None:
    """It is gone, and so are the conversations that went through it; 404 the second time."""
    first = sdk.responses.create(model="echo", input="One")
    second = sdk.responses.create(model="echo", input="Two", previous_response_id=first.id)
    deleted = http.delete(f"/v1/responses/{first.id}").json()
    assert deleted == {"id": first.id, "object": "response", "deleted": True}
    for call in (sdk.responses.delete, sdk.responses.retrieve, sdk.responses.cancel):
        with pytest.raises(openai.NotFoundError, match=first.id):
            call(first.id)
    with pytest.raises(openai.BadRequestError, match=f"not whole any more.*{first.id}") as caught:
        sdk.responses.create(model="echo", input="Three", previous_response_id=second.id)
    assert caught.value.code == "previous_response_not_found"
    assert caught.value.param == "previous_response_id"
    [own] = sdk.responses.input_items.list(second.id)
    assert own.content[0].text == "Two"  # type: ignore[union-attr]


def test_what_cannot_be_done(sdk: openai.OpenAI) -> None:
    """Cancelling, for nothing runs in the background, and streaming again."""
    answer = sdk.responses.create(model="echo", input="One")
    with pytest.raises(openai.BadRequestError, match="background"):
        sdk.responses.cancel(answer.id)
    with pytest.raises(openai.BadRequestError) as caught:
        sdk.responses.retrieve(answer.id, stream=True)
    assert caught.value.param == "stream"


ITEMS: Any = [
    {"role": "developer", "content": "Be."},
    {"role": "user", "content": [{"type": "input_text", "text": "a"}]},
    {"type": "reasoning", "id": "rs_own", "summary": [], "content": None},
    {"role": "assistant", "content": "b"},
    {"type": "function_call", "call_id": "c", "name": "now", "arguments": "{}"},
    {"type": "function_call_output", "call_id": "c", "output": "noon"},
]


def test_input_items(sdk: openai.OpenAI, http: httpx.Client) -> None:
    """The whole conversation up to the response, newest first, each as OpenAI's models have it."""
    first = sdk.responses.create(model="echo", input=ITEMS)
    second = sdk.responses.create(model="echo", input="Next", previous_response_id=first.id)
    body = http.get(f"/v1/responses/{second.id}/input_items?order=asc").json()
    items = [ITEM.validate_python(item, strict=True) for item in body["data"]]
    kinds = [getattr(item, "role", None) or item.type for item in items]
    expected = [item.get("role") or item["type"] for item in ITEMS]
    assert kinds == [*expected, "assistant", "user"]
    assert items[2].id == "rs_own"
    assert items[-2].id == first.output[0].id
    assert (body["first_id"], body["last_id"]) == (items[0].id, items[-1].id)
    newest = [item.id for item in sdk.responses.input_items.list(second.id)]
    assert newest == [item.id for item in reversed(items)]


def test_pages(sdk: openai.OpenAI, http: httpx.Client) -> None:
    """`limit`, `after` and `order` as the SDK goes through them; wrong ones are named."""
    answer = sdk.responses.create(model="echo", input=ITEMS)
    path = f"/v1/responses/{answer.id}/input_items"
    page = http.get(path, params={"limit": 4, "order": "asc"}).json()
    assert (len(page["data"]), page["has_more"]) == (4, True)
    rest = http.get(path, params={"limit": 4, "order": "asc", "after": page["last_id"]}).json()
    assert (len(rest["data"]), rest["has_more"]) == (2, False)
    listed = list(sdk.responses.input_items.list(answer.id, limit=1, order="asc"))
    assert [item.id for item in listed] == [i["id"] for i in page["data"] + rest["data"]]
    end = http.get(path, params={"order": "asc", "after": rest["last_id"]}).json()
    assert (end["data"], end["first_id"], end["has_more"]) == ([], None, False)
    for name, value in (("limit", "0"), ("limit", "101"), ("limit", "x"), ("limit", "1" * 5000),
                        ("order", "up"), ("after", "msg_x")):  # fmt: skip
        answered = http.get(path, params={name: value})
        assert (answered.status_code, answered.json()["error"]["param"]) == (400, name)
    assert http.get("/v1/responses/resp_x/input_items").status_code == 404


def test_no_id_comes_twice(sdk: openai.OpenAI) -> None:
    """Of items that are sent again: the SDK would go round in circles."""
    first = sdk.responses.create(model="echo", input=[ITEMS[2], ITEMS[1], ITEMS[2]])
    second = sdk.responses.create(
        model="echo",
        input=[ITEMS[2], *first.output, {"role": "user", "content": "c"}],  # type: ignore[list-item]
        previous_response_id=first.id,
    )
    listed = [item.id for item in sdk.responses.input_items.list(second.id, limit=1, order="asc")]
    assert len(listed) == len(set(listed)) == 7
    assert (listed[0], listed[3]) == ("rs_own", first.output[0].id)


def test_item_references(sdk: openai.OpenAI) -> None:
    """A stored item may be named instead of being sent, as the Vercel SDK does."""
    first = sdk.responses.create(model="echo", input="One")
    named = sdk.responses.create(
        model="echo",
        input=[
            {"role": "user", "content": "One"},
            {"type": "item_reference", "id": first.output[0].id or ""},
            {"role": "user", "content": "Two"},
        ],
    )
    continued = sdk.responses.create(model="echo", input="Two", previous_response_id=first.id)
    assert tokens(named) == tokens(continued)
    again = sdk.responses.create(model="echo", input="Three", previous_response_id=named.id)
    assert tokens(again) > tokens(named)


def test_a_store_that_fails_loses_no_answer(make_app: Callable[..., Flask], tmp_path: Path) -> None:
    """It is given, whole and streamed; only what needs the store is refused, with 503."""
    (tmp_path / "file").write_text("no folder")
    with sdk_for(make_app(data_dir=tmp_path / "file")) as client:
        answer = client.responses.create(model="echo", input="One")
        assert answer.output_text == "One"
        *_, last = client.responses.create(model="echo", input="One", stream=True)
        assert last.type == "response.completed"
        for call in (
            lambda: client.responses.retrieve(answer.id),
            lambda: client.responses.create(
                model="echo", input="Two", previous_response_id=answer.id
            ),
        ):
            with pytest.raises(openai.InternalServerError) as caught:
                call()
            assert (caught.value.status_code, caught.value.code) == (503, "storage_unavailable")


def test_a_torn_file_is_set_aside(make_app: Callable[..., Flask], tmp_path: Path) -> None:
    """The server goes on with an empty one."""
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "responses.db").write_bytes(b"torn" * 1000)
    with sdk_for(make_app()) as client:
        answer = client.responses.create(model="echo", input="One")
        assert client.responses.retrieve(answer.id).output_text == "One"
    assert len(list(folder.glob("responses.db.unusable-*"))) == 1


# --- streams that end early ---------------------------------------------------------------------


@pytest.fixture
def alone(make_app: Callable[..., Flask], scripted: ScriptedWorker) -> Iterator[Flask]:
    # The first comment begins the stream, so that the test can go on.
    app = make_app(OneWorker(scripted), sse_keepalive_s=0.05)
    yield app
    app.extensions["tricorn"].engines.close()


def begun(scripted: ScriptedWorker) -> Start:
    """The model has said "Hel"."""
    start = scripted.started()
    delta = TokenDelta(0, "Hel", [1], cached_tokens=0)
    scripted.send(Started(start.id, 7), Delta(start.id, delta))
    return start


def stored(tmp_path: Path) -> int:
    path = tmp_path / "data" / "responses.db"
    if not path.exists():
        return 0
    with sqlite3.connect(path) as database:
        return int(database.execute("SELECT count(*) FROM responses").fetchone()[0])


def test_a_failure_in_a_stream(alone: Flask, scripted: ScriptedWorker, tmp_path: Path) -> None:
    """error and response.failed, with what went wrong; nothing is stored."""
    with sdk_for(alone) as client:
        stream = client.responses.create(model="m", input="Hi", stream=True, timeout=5)
        start = begun(scripted)
        scripted.send(Failed(start.id, EngineGenerateError("NaN").info()))
        events = list(stream)
    *_, error, failed = events
    assert error.type == "error"
    assert (error.code, error.message) == ("engine_error", "NaN")
    assert failed.type == "response.failed"
    assert failed.response.error is not None
    assert failed.response.error.code == "server_error"
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert stored(tmp_path) == 0


def test_a_client_that_leaves(alone: Flask, scripted: ScriptedWorker, tmp_path: Path) -> None:
    """The model is stopped, and of half an answer nothing is stored."""
    with sdk_for(alone) as client:
        stream = client.responses.create(model="m", input="Hi", stream=True, timeout=5)
        start = begun(scripted)
        assert next(stream).type == "response.created"
        stream.close()
    assert scripted.cancelled() == start.id
    assert stored(tmp_path) == 0


def test_it_ends_well(alone: Flask, scripted: ScriptedWorker, tmp_path: Path) -> None:
    """The same stream to its end is stored: what the tests above count."""
    with sdk_for(alone) as client:
        stream = client.responses.create(model="m", input="Hi", stream=True, timeout=5)
        start = begun(scripted)
        scripted.send(Delta(start.id, TokenDelta(0, "lo", [2], "stop")), Finished(start.id))
        *_, last = stream
    assert last.type == "response.completed"
    assert last.response.output_text == "Hello"
    assert stored(tmp_path) == 1
