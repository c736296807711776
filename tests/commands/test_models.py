"""Tests of `tricorn models`, with and without a server."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tricorn import cli
from tricorn.commands.model_tables import table
from tricorn.commands.server_client import ServerClient
from tricorn.errors import TricornError

STATUS = {
    "id": "org/a:Q4",
    "state": "READY",
    "load_s": 1.5,
    "context_length": 64,
    "memory_held": {"main": 2_000_000},
    "replicas": [{}],
    "replicas_wanted": 1,
    "leases": 2,
    "waiting": 0,
    "expires_in_s": 30.0,
}
SYSTEM = {
    "cpu_usage": 50.0,
    "memory_usage": 25.0,
    "gpu_memory_usage": None,
    "total_requests": 4,
    "avg_response_time": 0.5,
    "tokens_per_second": 12.0,
}


class Server(ThreadingHTTPServer):
    """Answers as a test says, and remembers what it was asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.asked: list[tuple[str, str, Any]] = []
        self.keys: list[str | None] = []
        self.refusal = 404
        self.answers: dict[str, Any] = {
            "/health": {"status": "ok"},
            "/v1/models": {"data": [{"id": "org/a:Q4", "tricorn": {"state": "READY"}}]},
        }


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        self.server.asked.append((self.command, self.path, body))
        self.server.keys.append(self.headers.get("Authorization"))
        answer = self.server.answers.get(
            self.path, {"error": {"message": "there is no such model"}}
        )
        events = isinstance(answer, list)
        self.send_response(self.server.refusal if "error" in answer else 200)
        self.send_header("Content-Type", "text/event-stream" if events else "application/json")
        self.end_headers()
        for event in answer if events else []:
            self.wfile.write(b"data: " + json.dumps(event).encode() + b"\n\n")
        if events:
            self.wfile.write(b": a comment\n\ndata: [DONE]\n\n")
        else:
            self.wfile.write(json.dumps(answer).encode())

    do_POST = do_DELETE = do_GET

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    found = Server()
    thread = threading.Thread(target=found.serve_forever)
    thread.start()
    yield found
    found.shutdown()
    thread.join()
    found.server_close()


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of its own, with a file that is no model and nothing that runs."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models" / "org").mkdir(parents=True)
    (tmp_path / "models" / "org" / "bad.gguf").write_bytes(b"no GGUF")
    (tmp_path / "tricorn.yaml").write_text("port: 9\nhf_cache: false\n")
    return tmp_path


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = cli.main(["models", *arguments])
    out, err = capsys.readouterr()
    return code, out, err


# --- without a server -----------------------------------------------------------------------------


def test_ls_without_a_server(capsys: pytest.CaptureFixture[str]) -> None:
    """From the catalog, faults too."""
    code, out, _ = said(capsys, "ls")
    head, row = out.splitlines()
    assert code == 0
    assert head.split() == [
        "MODEL", "FORMAT", "QUANT", "PARAMETERS", "CONTEXT", "SIZE", "ENGINE", "STATE",
    ]  # fmt: skip
    assert row.startswith("org/bad")
    assert "unusable: " in row
    (told,) = json.loads(said(capsys, "ls", "--json")[1])
    assert (told["id"], told["state"]) == ("org/bad", None)


def test_ls_of_nothing(capsys: pytest.CaptureFixture[str], place: Path) -> None:
    (place / "models" / "org" / "bad.gguf").unlink()
    assert said(capsys, "ls")[:2] == (0, "there are no models in models\n")


def test_show_without_a_server(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = said(capsys, "show", "org/bad")
    assert code == 0
    assert "fault" in out
    code, _, err = said(capsys, "show", "good")
    assert (code, err) == (1, "tricorn: there is no model 'good'; there are: org/bad\n")


@pytest.mark.parametrize(
    "arguments",
    [("load", "a"), ("unload", "a"), ("status",), ("ls", "--url", "http://127.0.0.1:9")],
)
def test_what_needs_a_server(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    """Says that none runs, and how one is started."""
    code, out, err = said(capsys, *arguments)
    assert (code, out) == (1, "")
    assert err.startswith("tricorn: no server runs at http://127.0.0.1:9; ")
    assert err.endswith(" starts one\n")


def test_rm_without_a_server(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, place: Path
) -> None:
    """Asks first; the files go, and folders that are empty then."""
    monkeypatch.setattr("builtins.input", lambda question: "n")
    assert said(capsys, "rm", "org/bad")[0] == 1
    assert (place / "models" / "org" / "bad.gguf").exists()
    code, out, _ = said(capsys, "rm", "org/bad", "--yes")
    assert (code, out) == (0, "deleted: org/bad.gguf\n")
    assert list((place / "models").iterdir()) == []
    assert said(capsys, "rm", "org/bad", "--yes")[0] == 1


# --- with a server --------------------------------------------------------------------------------


def test_ls_with_a_server(capsys: pytest.CaptureFixture[str], server: Server) -> None:
    """The states that it tells, and models that only it knows."""
    _, out, _ = said(capsys, "ls", "--url", server.url)
    assert [line.split()[0] for line in out.splitlines()] == ["MODEL", "org/a:Q4", "org/bad"]
    assert out.splitlines()[1].endswith("READY")


def test_load(
    capsys: pytest.CaptureFixture[str],
    server: Server,
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With its options; what the server tells is shown as it comes."""
    monkeypatch.setenv("TRICORN_API_KEY", "secret")
    progress = {"object": "progress", "status": "reading", "progress": 0.5, "eta_s": None}
    server.answers["/v1/models/load"] = [progress, STATUS]
    options = ["--path", "x.gguf", "--context-length", "64", "--ttl", "5m", "--pin"]
    options += ["--arg", "n_batch=8", "--arg", "name=text"]
    code, out, _ = said(capsys, "load", "org/a:Q4", "--url", server.url, *options)
    assert code == 0
    assert out.splitlines() == [
        "org/a:Q4:  50 %  reading",
        "org/a:Q4 is READY in 1.5 s, context of 64 tokens, 2.0 MB of memory",
    ]
    assert server.asked == [
        (
            "POST",
            "/v1/models/load",
            {
                "model_name": "org/a:Q4",
                "stream": True,
                "model_path": str(place / "x.gguf"),
                "context_length": 64,
                "ttl": "5m",
                "pinned": True,
                "engine_args": {"n_batch": 8, "name": "text"},
            },
        )
    ]
    assert server.keys == ["Bearer secret"]


@pytest.mark.parametrize(
    "answer",
    [{"error": {"message": "it is broken"}}, [{"error": {"message": "it is broken"}}]],
)
def test_a_load_that_fails(capsys: pytest.CaptureFixture[str], server: Server, answer: Any) -> None:
    """In the server's words, before the stream or in it."""
    server.answers["/v1/models/load"] = answer
    code, _, err = said(capsys, "load", "a", "--url", server.url)
    assert (code, err) == (1, "tricorn: it is broken\n")


def test_bad_arguments(capsys: pytest.CaptureFixture[str], server: Server) -> None:
    code, _, err = said(capsys, "load", "a", "--url", server.url, "--arg", "n_batch")
    assert (code, err) == (1, "tricorn: --arg n_batch: write NAME=VALUE\n")
    assert said(capsys, "status", "--url", "ftp://x")[0] == 1


def test_unload_and_rm(capsys: pytest.CaptureFixture[str], server: Server) -> None:
    server.answers["/v1/models/org/a:Q4/unload?force=true"] = STATUS
    server.answers["/v1/models/org/a:Q4"] = {"deleted": True, "files": ["a.gguf"]}
    name = ("org/a:Q4", "--url", server.url)
    assert said(capsys, "unload", *name, "--force")[:2] == (0, "org/a:Q4 is unloaded\n")
    assert said(capsys, "rm", *name, "--yes")[:2] == (0, "deleted: a.gguf\n")
    assert server.asked[-1][:2] == ("DELETE", "/v1/models/org/a:Q4")
    code, _, err = said(capsys, "unload", "b", "--url", server.url)
    assert (code, err) == (1, "tricorn: there is no such model\n")


def test_status(capsys: pytest.CaptureFixture[str], server: Server) -> None:
    """The machine's bars, and a row a model."""
    server.answers["/v1/system/status"] = SYSTEM
    server.answers["/v1/models/org/a:Q4/status?capabilities=false"] = STATUS
    _, out, _ = said(capsys, "status", "--url", server.url)
    lines = out.splitlines()
    assert lines[0] == "CPU     [############............]  50 %"
    assert lines[2] == "4 requests, 0.50 s on average, 12.0 tokens/s"
    assert lines[-1].split() == [
        "org/a:Q4",
        "READY",
        "1",
        "of",
        "1",
        "2",
        "0",
        "2.0",
        "MB",
        "30",
        "s",
    ]
    told = json.loads(said(capsys, "status", "--url", server.url, "--json")[1])
    assert told == {"system": SYSTEM, "models": [STATUS]}


def test_a_server_that_speaks_something_else(server: Server) -> None:
    """Is an error in words."""
    server.answers["/x"] = [{"a": 1}]
    with pytest.raises(TricornError, match="cannot be reached"):
        ServerClient(server.url).get("/x")


def test_table() -> None:
    """Columns are as wide as their widest cell; nothing stands behind the last one."""
    assert table([("A", "B"), ("long", "x")]) == ["A     B", "long  x"]


def test_a_server_that_needs_a_key(capsys: pytest.CaptureFixture[str], server: Server) -> None:
    """It is said how to give one."""
    server.answers["/v1/models"] = {"error": {"message": "Send it in a header."}}
    server.refusal = 401
    code, _, err = said(capsys, "ls", "--url", server.url)
    assert code == 1
    assert "--api-key or TRICORN_API_KEY" in err
