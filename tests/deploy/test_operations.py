"""docs/operations.md, the runbook: its commands, routes, settings and words are those of the
program."""

from __future__ import annotations

import re
import shlex
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tricorn import errors, launch
from tricorn.access.terms import Terms
from tricorn.cli import build_parser
from tricorn.gateway.app import create_app
from tricorn.settings.config import Settings
from tricorn.settings.model_settings import ModelSettings
from tricorn.storage.keys import FILE, KeyStore

PROJECT = Path(__file__).parents[2]
RUNBOOK = (PROJECT / "docs" / "operations.md").read_text()
SOURCE = "\n".join(path.read_text() for path in (PROJECT / "src").rglob("*.py"))
NO_SETTINGS = {"BASE", "KEY", "NAME", "ID", "ORG", "QUANT", "WAL", "GET", "POST", "PATCH", "DELETE"}
NO_SETTINGS |= {
    "NFS",
    "LOADING",
    "FAILED",
    "CMAKE_ARGS",
    "CUDA_VISIBLE_DEVICES",
    "SIGILL",
    "SIGBUS",
}
NO_SENTENCE = r"-H|tricorn|curl|python3|docker|journalctl|systemctl|proxy_|\w+="
VARIES = re.compile(
    r"…|\bNAME\b|\d[\d.]*|\bSIG\w+|\w+\.db\b|GiB|main memory|its engine process"
    r"|ended with exit code"
)
"""What stands for something else in a message, or is put into it."""
QUOTED = re.compile(r"`([^`\n]+)`")


def commands() -> list[list[str]]:
    """Each `tricorn …` of the page, as a shell would split it; without what stands for others."""
    found = re.findall(r"(?:`|^    |= |on )(tricorn [a-z][^`#;\n]*)", RUNBOOK, re.M)
    assert len(found) > 20
    return [shlex.split(one)[1:] for one in found]


@pytest.mark.parametrize("command", commands(), ids=" ".join)
def test_commands_exist(command: list[str]) -> None:
    """The command line takes them, and run.py passes them on."""
    given = ["vllm" if command[0] == "engines" and one == "NAME" else one for one in command]
    assert build_parser().parse_args(given).command == command[0]
    assert command[0] in (*launch.COMMANDS, *launch.LATER_COMMANDS)


def test_routes_exist(tmp_path: Path) -> None:
    """Whatever is asked for is routed, with that method."""
    settings = Settings(data_dir=tmp_path, run_dir=tmp_path)
    routes = create_app(settings).url_map.bind("localhost")
    asked = re.findall(r"`(GET|POST|PATCH|DELETE) (/[^\s`]*)`", RUNBOOK)
    asked += [("GET", path) for path in re.findall(r"curl \"?\$BASE(/[^\s\"?`]*)", RUNBOOK)]
    asked += re.findall(r"curl -X (\w+) \$BASE(/\S+)", RUNBOOK)
    assert len(asked) > 10
    for method, path in asked:
        endpoint, _ = routes.match(path.replace("…", "x"), method=method)
        assert endpoint


def test_settings_exist() -> None:
    """Names in capitals are settings; in small letters those of models are in tricorn.yaml."""
    known = {name.upper() for name in Settings.model_fields}
    named = {one for one in QUOTED.findall(RUNBOOK) if re.fullmatch(r"[A-Z][A-Z0-9_]+", one)}
    assert named - known - NO_SETTINGS == set()
    models = {"context_length", "max_num_seqs", "pinned", "preload", "shrink_context", "gpus"}
    assert models <= set(ModelSettings.model_fields)


def test_codes_exist() -> None:
    """An error's code stands at the status that it has."""
    known = {kind.code: kind.status for kind in _kinds(errors.TricornError)}
    told = re.findall(r"\b([45]\d\d) `([a-z_]+)`", RUNBOOK)
    assert len(told) > 15
    assert [(status, code) for status, code in told if known.get(code) != int(status)] == []


def test_messages_exist() -> None:
    """What is quoted as a log line or an answer is what the program says, piece by piece."""
    source = re.sub(r'"\s*\n\s*f?"', "", SOURCE)
    site = (PROJECT / "deploy" / "nginx.conf").read_text()
    sentences = [one for one in QUOTED.findall(RUNBOOK) if one.count(" ") >= 3]
    sentences = [one for one in sentences if not re.match(NO_SENTENCE, one)]
    missing = []
    for sentence in sentences:
        pieces = [piece.strip(" .:;()?") for piece in VARIES.split(sentence)]
        pieces = [piece for piece in pieces if piece.count(" ") >= 2]
        missing += [one for one in pieces if one not in source and one not in site]
    assert missing == []


def test_what_is_saved_of_keys_is_taken(tmp_path: Path) -> None:
    """A dump of keys.db, with the marks that the page has put before it."""
    damaged, saved = tmp_path / "damaged", tmp_path / "saved"
    store = KeyStore(damaged)
    key, _ = store.create("ann", Terms())
    store.close()
    saved.mkdir()
    with (
        closing(sqlite3.connect(damaged / FILE)) as old,
        closing(sqlite3.connect(saved / FILE)) as new,
    ):
        (marks,) = re.findall(r"'(PRAGMA .*;)'", RUNBOOK)
        new.executescript(marks + "".join(old.iterdump()))
    assert KeyStore(saved).all() == [key]


def test_links_lead_somewhere() -> None:
    """To headings of this page, and to documents that are there."""
    from tests.deploy.test_monitoring import anchors

    for document, anchor in re.findall(r"\]\(([\w./]*)#([\w-]+)\)", RUNBOOK):
        assert anchor in anchors(document or "operations.md"), (document, anchor)
    for document in re.findall(r"\]\(([\w./]+\.md)\)", RUNBOOK):
        assert (PROJECT / "docs" / document).is_file()


def _kinds(base: type[errors.TricornError]) -> list[type[errors.TricornError]]:
    return [base, *(kind for sub in base.__subclasses__() for kind in _kinds(sub))]
