"""A hub on loopback: as much of huggingface.co as a pull asks for, with faults to order.

As there, files that are large (`LFS_BYTES`) are kept elsewhere: the repository's address redirects
to a store under another host name, with a signature and without a need for a token.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

LFS_BYTES = 1000
COMMIT = "c" * 40


@dataclass
class Asked:
    method: str
    path: str
    headers: dict[str, str]

    @property
    def range(self) -> str | None:
        return self.headers.get("range")


@dataclass
class Faults:
    """What goes wrong. Those with a number happen so many times."""

    cut: dict[str, list[int]] = field(default_factory=dict)
    """File → after how many bytes an answer is cut, one answer after the other."""
    wrong: set[str] = field(default_factory=set)
    """Files that come with other bytes than the hub says."""
    status: dict[str, list[int]] = field(default_factory=dict)
    """Beginning of a path → statuses to answer with, one request after the other."""
    held: dict[str, tuple[int, threading.Event, threading.Event]] = field(default_factory=dict)
    """File → (after how many bytes it stops, set then, goes on when this is set)."""
    no_ranges: bool = False
    no_sizes: bool = False
    """As some mirrors do: names only."""
    page: bytes | None = None
    """In place of JSON: what a captive portal shows."""


class LookAlike:
    def __init__(self) -> None:
        self.repos: dict[str, dict[str, bytes]] = {}
        self.gated: set[str] = set()
        self.private: set[str] = set()
        self.token = "hf_secret_token"
        self.commits: dict[str, str] = {}
        """Branch or tag → commit; every repository has main."""
        self.faults = Faults()
        self.asked: list[Asked] = []
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                hub.answer(self)

            def do_HEAD(self) -> None:
                hub.answer(self)

            def log_message(self, *_: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            def handle_error(self, request: Any, client_address: Any) -> None:
                pass  # a client that hangs up in the middle is what tests are about

        self._server = Server(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_port
        self.endpoint = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        for _, _, release in self.faults.held.values():
            release.set()
        self._server.shutdown()
        self._server.server_close()

    def hold(self, file: str, after: int) -> tuple[threading.Event, threading.Event]:
        """The file stops after so many bytes; (set when it has, to be set for it to go on)."""
        reached, release = threading.Event(), threading.Event()
        self.faults.held[file] = (after, reached, release)
        return reached, release

    def ranges(self, file: str) -> list[str | None]:
        """The ranges that were asked of a large file's bytes, in order."""
        return [
            one.range
            for one in self.asked
            if one.method == "GET" and one.path.startswith("/store/") and f"/-/{file}?" in one.path
        ]

    # --- answers ------------------------------------------------------------------------------

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        path = unquote(urlsplit(request.path).path)
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.asked.append(Asked(request.command, request.path, headers))
        for start, statuses in self.faults.status.items():
            if path.startswith(start) and statuses:
                self._send(request, statuses.pop(0), {}, b"try again")
                return
        if path.startswith("/api/models/"):
            self._info(request, path.removeprefix("/api/models/"), headers)
        elif path.startswith("/store/"):
            _, _, repo_org, repo_name, _, file = path.split("/", 5)
            self._bytes(request, file, self.repos[f"{repo_org}/{repo_name}"][file], headers)
        else:
            self._resolve(request, path.lstrip("/"), headers)

    def _refused(self, repo: str, headers: dict[str, str]) -> tuple[int, str] | None:
        allowed = headers.get("authorization") == f"Bearer {self.token}"
        if repo not in self.repos or (repo in self.private and not allowed):
            return (404, "RepoNotFound") if allowed else (401, "RepoNotFound")
        if repo in self.gated and not allowed:
            return 401, "GatedRepo"
        return None

    def _info(self, request: BaseHTTPRequestHandler, path: str, headers: dict[str, str]) -> None:
        repo, _, revision = path.partition("/revision/")
        if self.faults.page is not None:
            self._send(request, 200, {"Content-Type": "text/html"}, self.faults.page)
            return
        refused = None if repo in self.gated else self._refused(repo, headers)
        commit = self._commit(revision or "main")
        if refused is None and commit is None:
            refused = 404, "RevisionNotFound"
        if refused is not None:
            self._send(request, refused[0], {"X-Error-Code": refused[1]}, b"no")
            return
        siblings = [self._sibling(name, data) for name, data in self.repos[repo].items()]
        body = {"id": repo, "sha": commit, "siblings": siblings, "tags": []}
        self._send(request, 200, {"Content-Type": "application/json"}, json.dumps(body).encode())

    def _sibling(self, name: str, data: bytes) -> dict[str, Any]:
        if self.faults.no_sizes:
            return {"rfilename": name}
        found: dict[str, Any] = {"rfilename": name, "size": len(data), "blobId": git_id(data)}
        if len(data) >= LFS_BYTES:
            sha256 = hashlib.sha256(data).hexdigest()
            found["lfs"] = {"sha256": sha256, "size": len(data), "pointerSize": 134}
        return found

    def _resolve(self, request: BaseHTTPRequestHandler, path: str, headers: dict[str, str]) -> None:
        repo, _, rest = path.partition("/resolve/")
        revision, _, file = rest.partition("/")
        refused = self._refused(repo, headers)
        if refused is None and self._commit(revision) is None:
            refused = 404, "RevisionNotFound"
        if refused is None and file not in self.repos[repo]:
            refused = 404, "EntryNotFound"
        if refused is not None:
            self._send(request, refused[0], {"X-Error-Code": refused[1]}, b"no")
            return
        data = self.repos[repo][file]
        facts = {"X-Repo-Commit": self._commit(revision) or "", "ETag": f'"{git_id(data)}"'}
        if len(data) < LFS_BYTES:
            self._bytes(request, file, data, headers, facts)
            return
        facts |= {
            "X-Linked-Size": str(len(data)),
            "X-Linked-ETag": f'"{hashlib.sha256(data).hexdigest()}"',
            "Location": f"http://localhost:{self.port}/store/{repo}/-/{file}?signature=s1gned",
        }
        self._send(request, 302, facts, b"")

    def _commit(self, revision: str) -> str | None:
        if revision in ("main", COMMIT) or revision in self.commits.values():
            return COMMIT if revision == "main" else revision
        return self.commits.get(revision)

    def _bytes(
        self,
        request: BaseHTTPRequestHandler,
        file: str,
        data: bytes,
        headers: dict[str, str],
        facts: dict[str, str] | None = None,
    ) -> None:
        if file in self.faults.wrong:
            data = bytes(byte ^ 0xFF for byte in data)
        status, start, end = 200, 0, len(data)
        wish = headers.get("range")
        facts = dict(facts or {})
        if wish is not None and not self.faults.no_ranges:
            first, _, last = wish.removeprefix("bytes=").partition("-")
            start, end = int(first), min(int(last) + 1, len(data)) if last else len(data)
            if start >= len(data):
                self._send(request, 416, {"Content-Range": f"bytes */{len(data)}"}, b"")
                return
            status = 206
            facts["Content-Range"] = f"bytes {start}-{end - 1}/{len(data)}"
        part = data[start:end]
        cuts = self.faults.cut.get(file)
        cut = cuts.pop(0) if cuts and request.command == "GET" else None
        held = self.faults.held.get(file) if request.command == "GET" else None
        if cut is None and held is None:
            self._send(request, status, facts, part)
            return
        self._head(request, status, facts, len(part))
        if held is not None:
            after, reached, release = held
            request.wfile.write(part[:after])
            request.wfile.flush()
            reached.set()
            release.wait(30)
            part = part[after:]
        request.wfile.write(part[:cut])
        request.wfile.flush()
        if cut is not None:
            request.close_connection = True
            request.connection.shutdown(2)

    def _head(
        self, request: BaseHTTPRequestHandler, status: int, headers: dict[str, str], length: int
    ) -> None:
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name, value)
        request.send_header("Content-Length", str(length))
        request.end_headers()

    def _send(
        self, request: BaseHTTPRequestHandler, status: int, headers: dict[str, str], body: bytes
    ) -> None:
        self._head(request, status, headers, len(body))
        if request.command != "HEAD":
            request.wfile.write(body)


def git_id(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


@contextmanager
def lookalike() -> Iterator[LookAlike]:
    hub = LookAlike()
    try:
        yield hub
    finally:
        hub.close()
