"""A manager that carries out no order and answers each as a real one does; for fuzzing: nothing is
loaded, fetched or deleted. A test of the whole server holds the real answers against the same
description of the API (tests/e2e/test_openapi.py)."""

from __future__ import annotations

import queue
from typing import Any

from tests.gateway.engines import FakeManager

from tricorn.errors import InstanceNotFound, ModelNotFound, TricornError
from tricorn.manager.protocol.calls import Progress, Told

Json = dict[str, Any]

DOWNLOAD: Json = {
    "object": "model.download", "name": "org/name", "state": "queued", "total_bytes": None,
    "completed_bytes": None, "share": None, "bytes_per_second": None, "eta_s": None, "file": None,
    "digest": None, "file_total_bytes": None, "file_completed_bytes": None, "files": [],
    "models": [], "reason": None, "error": None, "started": 1700000000,
}  # fmt: skip
SYSTEM: Json = {
    "object": "system.metrics", "cpu_usage": 1.5, "memory_usage": 20.0, "gpu_memory_usage": None,
    "active_models": 1, "total_requests": 3, "avg_response_time": 0.5, "tokens_per_second": 0.0,
    "details": {
        "cpu_count": 2, "memory_total_bytes": 5, "memory_available_bytes": 4,
        "tricorn_memory_bytes": 1, "gpus": [], "models": ["chats"],
        "spare_workers": [{"engine": "llamacpp", "pid": 7, "memory_bytes": None}],
        "failed_requests": 0, "prompt_tokens": 9, "completion_tokens": 9, "uptime_s": 1.0,
    },
}  # fmt: skip


def status(model: str) -> Json:
    return {
        "id": model, "aliases": [], "state": "READY", "reason": None, "engine": "fake",
        "engine_reason": "a test", "device": "", "format": "fake", "path": "", "size_bytes": 0,
        "context_length": 4096, "context_shrunk_to": None, "replicas": [], "replicas_wanted": 1,
        "leases": 0, "waiting": 0, "waiting_s": None, "eta_s": None, "load_s": 0.1,
        "memory_expected": {"ram": 5}, "memory_held": {}, "memory_residue": None, "pinned": False,
        "preload": False, "ttl_s": None, "expires_in_s": 5.0, "failures": 0, "last_error": None,
        "retry_in_s": None, "log_tail": [], "adapters": [], "details": {},
    }  # fmt: skip


def instance(name: str) -> Json:
    return {
        "id": name, "object": "instance", "model": "chats", "model_id": f"chats@{name}",
        "params": {}, "ttl": None, "created": 1700000000, "expires_at": None, "state": "READY",
        "url": f"/proxy/{name}/v1", "status": status(f"chats@{name}"),
    }  # fmt: skip


class OrderTaker(FakeManager):
    def order(
        self, command: str, arguments: dict[str, Any], inbox: queue.SimpleQueue[object]
    ) -> int:
        self._calls += 1
        try:
            told = self._result(command, arguments)
        except TricornError as error:
            inbox.put(error)
        else:
            inbox.put(Progress(self._calls, "working", 0.5, 2.0))
            inbox.put(Told(self._calls, told))
        return self._calls

    def _result(self, command: str, arguments: dict[str, Any]) -> Json:
        match command, arguments:
            case (("load" | "unload" | "retry" | "status"), {"model": str(model)}):
                if model not in self._models:
                    raise ModelNotFound(f"There is no model '{model}'.", param="model")
                return status(model)
            case "delete", {"model": model}:
                return {"id": model, "object": "model", "deleted": True, "files": ["a.gguf"]}
            case (("pull" | "pull.state"), _):
                return DOWNLOAD
            case "pull.cancel", {"model": model}:
                return {"object": "model.download", "name": model, "cancelled": True}
            case "pulls", _:
                return {"object": "list", "data": [DOWNLOAD]}
            case "instances.create", {"name": name}:
                return instance(name or "mine")
            case "instances.list", _:
                return {"object": "list", "data": [instance("mine")]}
            case "instances.get", {"id": str(name)}:
                if name != "mine":
                    raise InstanceNotFound(f"There is no instance '{name}'.")
                return instance(name)
            case "instances.delete", {"id": name}:
                return {"id": name, "object": "instance", "deleted": True}
            case "system", _:
                return SYSTEM
            case "reload", _:
                return {"object": "reload", "changed": [], "needs_restart": [], "errors": []}
            case "gateway.restart", _:
                return {
                    "object": "gateway.restart", "pid": 2, "replaced_pid": 1, "workers": 1,
                    "duration_s": 0.5, "changed": [], "needs_restart": [],
                }  # fmt: skip
            case "logs.recent", _:
                return {"object": "list", "data": [{"level": "info", "event": "x"}]}
            case "logs.level", {"level": level}:
                return {"object": "log_level", "level": level, "before": "INFO"}
            case "metrics", _:
                return {"text": ""}
        raise AssertionError(f"no answer to '{command}'")
