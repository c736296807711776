"""How a request without the right key is refused, and what is told to nobody."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.gateway.access.door import CHAT, Door


@pytest.mark.parametrize(
    ("path", "headers", "status", "check"),
    [
        ("/v1/chat/completions", {}, 401, lambda b: b["error"]["code"] == "invalid_api_key"),
        ("/v1/messages", {}, 401, lambda b: b["error"]["type"] == "authentication_error"),
        ("/api/chat", {}, 401, lambda b: "API key" in b["error"]),
        ("/v1/chat/completions", None, 403, lambda b: b["error"]["code"] == "permission_denied"),
        ("/v1/messages", None, 403, lambda b: b["error"]["type"] == "permission_error"),
        ("/api/chat", None, 403, lambda b: "permission" in b["error"]),
    ],
)
def test_each_family_in_its_own_shape(
    door: Door, path: str, headers: dict[str, str] | None, status: int, check: Callable[..., bool]
) -> None:
    """With WWW-Authenticate where a key is missing."""
    headers = door.key("embeddings") if headers is None else headers
    answer = door.client.post(path, json={}, headers=headers)
    assert answer.status_code == status
    assert check(answer.get_json())
    assert ("WWW-Authenticate" in answer.headers) == (status == 401)


def test_keys_are_told_to_nobody(door: Door, capfd: pytest.CaptureFixture[str]) -> None:
    """Neither in answers nor in the log, right or wrong, wherever they stand."""
    good = door.key("chat")
    text = good["Authorization"].removeprefix("Bearer ")
    wrong = "sk-wrong-geheim"
    answers = [
        door.client.get("/v1/models", headers=good),
        door.client.post("/v1/chat/completions", json=CHAT, headers=good),
        door.client.get(f"/v1/models?api_key={text}", headers={"x-api-key": wrong}),
        door.client.get("/admin/keys", headers=door.key("admin")),
    ]
    told = "".join(answer.text + str(answer.headers) for answer in answers)
    logged = "".join(capfd.readouterr())
    assert "wrong API key" in logged
    for secret in (text, wrong, door.services.keys.digest(text)):
        assert secret not in told
        assert secret not in logged
