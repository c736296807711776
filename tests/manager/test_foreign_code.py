"""Requests cannot have an engine run code or read files of their choice, however they write it."""

from __future__ import annotations

from typing import Any

import pytest

from tricorn.errors import NotAllowed
from tricorn.manager.desk import foreign_code


@pytest.mark.parametrize(
    ("arguments", "param"),
    [
        ({"trust_remote_code": True}, "p.trust_remote_code"),
        ({"trust-remote-code": 1}, "p.trust-remote-code"),
        ({"--Trust-Remote_Code": "true"}, "p.--Trust-Remote_Code"),
        ({" trust_remote_code ": True}, "p. trust_remote_code "),
        ({"a": {"b": {"trust_remote_code": True}}}, "p.a.b.trust_remote_code"),
        ({"a": [{"x": 1}, {"worker_cls": "m.C"}]}, "p.a[1].worker_cls"),
        ({"a": '{"trust_remote_code": true}'}, "p.a.trust_remote_code"),
        ({"a": ' [{"worker-cls": "m.C"}]'}, "p.a[0].worker-cls"),
        ({"kv_transfer_config": {"kv_connector": "x"}}, "p.kv_transfer_config"),
        ({"x": {"kv_connector_module_path": "m"}}, "p.x.kv_connector_module_path"),
        ({"compilation_config": {"backend": "m.f"}}, "p.compilation_config"),
        ({"model": "/etc"}, "p.model"),
        ({"speculative_config": {"model": "../x"}}, "p.speculative_config.model"),
        ({"tokenizer": "/home/other"}, "p.tokenizer"),
        ({"Allowed-Local-Media-Path": "/"}, "p.Allowed-Local-Media-Path"),
    ],
)
def test_what_is_refused(arguments: Any, param: str) -> None:
    """403 naming it."""
    with pytest.raises(NotAllowed) as caught:
        foreign_code.refuse(arguments, param="p")
    assert caught.value.param == param


@pytest.mark.parametrize(
    "arguments",
    [
        {"trust_remote_code": False, "worker_cls": None},
        {"gpu_memory_utilization": 0.5, "dtype": "float16", "tokenizer_mode": "auto"},
        {"a": "{no JSON", "b": "trust_remote_code"},
        {},
        None,
    ],
)
def test_what_is_let_through(arguments: Any) -> None:
    """What switches nothing on."""
    foreign_code.refuse(arguments, param="p")
