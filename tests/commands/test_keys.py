"""`tricorn keys` and `tricorn usage`, without a server."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from tricorn import cli
from tricorn.access import secret
from tricorn.access.terms import Terms
from tricorn.commands.server_client import KEY, key_for
from tricorn.settings.config import Settings
from tricorn.storage.keys import KeyStore, UsageRow, day


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    monkeypatch.delenv(KEY, raising=False)


@pytest.fixture
def store(tmp_path: Path) -> KeyStore:
    return KeyStore(tmp_path / "data")


def test_create_and_list(store: KeyStore, capsys: pytest.CaptureFixture[str]) -> None:
    """The key is on the first line, for scripts; the list shows all but it."""
    flags = ["--permission", "chat", "--permission", "metrics", "--model", "a*", "--weight", "2"]
    flags += ["--requests-per-minute", "7", "--expires", "1h", "--reasoning-field", "reasoning"]
    assert cli.main(["keys", "create", "ann", *flags]) == 0
    text = capsys.readouterr().out.splitlines()[0]
    (key,) = store.all()
    assert key.digest == store.digest(text)
    assert key.terms.permissions == ("chat", "metrics")
    assert (key.terms.models, key.terms.weight) == (("a*",), 2.0)
    assert (key.terms.requests_per_minute, key.terms.reasoning_field) == (7, "reasoning")
    assert key.expires == pytest.approx(time.time() + 3600, abs=60)
    assert cli.main(["keys", "ls"]) == 0
    listed = capsys.readouterr().out
    assert text not in listed
    for shown in (key.id, "ann", "chat,metrics", "a*", "requests_per_minute=7", "never used"):
        assert shown in listed


def test_json(store: KeyStore, capsys: pytest.CaptureFixture[str]) -> None:
    """For programs: with the key once, and never with what is kept of it."""
    assert cli.main(["keys", "create", "ann", "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert store.digest(made.pop("key")) == store.all()[0].digest
    assert cli.main(["keys", "ls", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == [made]


def test_rotate_and_revoke(store: KeyStore, capsys: pytest.CaptureFixture[str]) -> None:
    """By id."""
    key, text = store.create("ann", Terms())
    assert cli.main(["keys", "rotate", key.id]) == 0
    other = capsys.readouterr().out.splitlines()[0]
    assert store.get(key.id).digest == store.digest(other) != store.digest(text)
    assert cli.main(["keys", "revoke", key.id]) == 0
    assert store.all(live=True) == []
    capsys.readouterr()
    assert cli.main(["keys", "ls"]) == 0
    assert "there are no keys" in capsys.readouterr().out
    assert cli.main(["keys", "ls", "--all"]) == 0
    assert "revoked" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("flags", "why"),
    [
        (["create", "a", "--permission", "root"], "root"),
        (["create", "a", "--daily-tokens", "0"], "daily_tokens"),
        (["create", "a", "--expires", "soon"], "--expires"),
        (["revoke", "key_x"], "key_x"),
        (["rotate", "key_x"], "key_x"),
    ],
)
def test_what_cannot_be_done(
    flags: list[str], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line that says why."""
    assert cli.main(["keys", *flags]) == 1
    said = capsys.readouterr().err
    assert why in said
    assert said.count("\n") == 1


def test_usage(store: KeyStore, capsys: pytest.CaptureFixture[str]) -> None:
    """A table with sums; JSON for programs."""
    assert cli.main(["usage"]) == 0
    assert "nothing was used" in capsys.readouterr().out
    today = day(time.time())
    store.add([UsageRow(today, "", "m", 2, 30, 4), UsageRow("2020-01-01", "", "m", 1, 1, 1)], {})
    assert cli.main(["usage"]) == 0
    head, row, total = (line.split() for line in capsys.readouterr().out.splitlines())
    assert head[:3] == ["DAY", "KEY", "MODEL"]
    assert row == [today, "without", "a", "key", "m", "2", "30", "4"]
    assert total == ["total", "2", "30", "4"]
    assert cli.main(["usage", "--json", "--model", "m"]) == 0
    assert json.loads(capsys.readouterr().out)["total"]["total_tokens"] == 34
    assert cli.main(["usage", "--days", "0"]) == 1


def test_the_key_that_commands_send(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The given one, the environment's, one of the settings or the one that was made here; these
    only here."""
    settings = Settings(data_dir=tmp_path)
    assert key_for(settings, given=None, elsewhere=False) is None
    secret.write_private(tmp_path / secret.ADMIN_KEY_FILE, "made\n")
    assert key_for(settings, given=None, elsewhere=False) == "made"
    assert key_for(settings, given=None, elsewhere=True) is None
    configured = Settings(data_dir=tmp_path, api_keys=["password1"])
    assert key_for(configured, given=None, elsewhere=False) == "password1"
    assert key_for(configured, given=None, elsewhere=True) is None
    monkeypatch.setenv(KEY, "env")
    assert key_for(settings, given=None, elsewhere=False) == "env"
    assert key_for(settings, given="given", elsewhere=True) == "given"
