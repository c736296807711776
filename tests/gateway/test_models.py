"""Tests of `tricorn.gateway.routes.models`: what is told of a model that was never loaded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import msgspec
import pytest
from flask import Flask
from tests.gateway.engines import FakeManager

from tricorn.manager.protocol.news import Snapshot
from tricorn.model_facts.estimate import Estimate
from tricorn.model_facts.facts import FileFacts

KNOWN = FileFacts(
    architecture="llama",
    parameters=134_515_008,
    quantisation="Q4_1",
    context_trained=8192,
    chat_template=True,
)
NOTHING = dict.fromkeys(
    (
        "architecture",
        "parameters",
        "quantisation",
        "context_length_trained",
        "capabilities_expected",
        "memory_expected_bytes",
        "context_length_expected",
    )
)


class Knowing(FakeManager):
    facts: FileFacts | None = None
    estimate: Estimate | None = None

    def snapshot(self) -> Snapshot | None:
        whole = super().snapshot()
        assert whole is not None
        [model] = whole.models
        model = msgspec.structs.replace(model, facts=self.facts, estimate=self.estimate)
        return msgspec.structs.replace(whole, models=[model])


@pytest.mark.parametrize(
    ("facts", "estimate", "told"),
    [
        (None, None, {}),
        (
            KNOWN,
            Estimate(100, 20, 3, 1, context_length=4096),
            {
                "architecture": "llama",
                "parameters": 134_515_008,
                "quantisation": "Q4_1",
                "context_length_trained": 8192,
                "capabilities_expected": ["generate", "chat"],
                "memory_expected_bytes": 124,
                "context_length_expected": 4096,
            },
        ),
        (FileFacts(kind="reranker"), None, {"capabilities_expected": ["score"]}),
    ],
)
def test_what_its_files_tell(
    make_app: Callable[..., Flask],
    facts: FileFacts | None,
    estimate: Estimate | None,
    told: dict[str, Any],
) -> None:
    """As extension fields; what they do not tell is null."""
    manager = Knowing({"m": {}})
    manager.facts, manager.estimate = facts, estimate
    transport = httpx.WSGITransport(app=make_app(manager))
    with httpx.Client(transport=transport, base_url="http://test") as http:
        [listed] = http.get("/v1/models").json()["data"]
        assert http.get("/v1/models/m").json() == listed
    assert {name: listed["tricorn"][name] for name in NOTHING} == NOTHING | told
    assert set(listed) == {"id", "object", "created", "owned_by", "root", "parent", "tricorn"}
