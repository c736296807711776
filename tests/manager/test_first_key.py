"""Tests of `tricorn.manager.access.first_key`."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest

from tricorn.access import secret
from tricorn.access.terms import Terms
from tricorn.errors import StartupError
from tricorn.manager.access import first_key
from tricorn.settings.config import Settings
from tricorn.storage.keys import KeyStore


def settings_for(tmp_path: Path, **more: Any) -> Settings:
    return Settings(data_dir=tmp_path, **more)


def test_one_is_made_where_others_reach_the_server(tmp_path: Path) -> None:
    """Told once, kept for its owner alone, and may do everything."""
    settings = settings_for(tmp_path, host="0.0.0.0")
    store = KeyStore(tmp_path)
    told = first_key.prepare(settings, store)
    kept = secret.admin_key(tmp_path)
    assert told is not None
    assert kept is not None
    assert kept in told
    (key,) = store.all(live=True)
    assert key.digest == store.digest(kept)
    assert key.terms.permissions == ("all",)
    if os.name == "posix":
        assert stat.S_IMODE((tmp_path / "admin-key").stat().st_mode) == 0o600
    assert first_key.prepare(settings, store) is None
    assert len(store.all()) == 1


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"host": "::1"},
        {"host": "0.0.0.0", "auth": "off"},
        {"host": "0.0.0.0", "jwt_secret": "s" * 32},
    ],
)
def test_none_where_none_is_needed(tmp_path: Path, more: dict[str, Any]) -> None:
    """On loopback, where it is switched off, and where somebody else signs."""
    assert first_key.prepare(settings_for(tmp_path, **more), KeyStore(tmp_path)) is None
    assert KeyStore(tmp_path).all() == []


def test_none_where_there_are_others(tmp_path: Path) -> None:
    """Of the settings, or created before."""
    settings = settings_for(tmp_path, host="0.0.0.0", api_keys=["password1"])
    store = KeyStore(tmp_path)
    assert first_key.prepare(settings, store) is None
    assert [key.configured for key in store.all()] == [True]
    store.create("a", Terms())
    assert first_key.prepare(settings_for(tmp_path, auth="required"), store) is None
    assert [key.configured for key in store.all()] == [False]


def test_a_lost_key_is_replaced(tmp_path: Path) -> None:
    """Once all are revoked, the next start makes one."""
    settings = settings_for(tmp_path, host="0.0.0.0")
    store = KeyStore(tmp_path)
    first_key.prepare(settings, store)
    before = secret.admin_key(tmp_path)
    store.revoke(store.all()[0].id)
    assert first_key.prepare(settings, store) is not None
    assert secret.admin_key(tmp_path) != before


def test_where_nothing_can_be_kept(tmp_path: Path) -> None:
    """It does not start, open or closed."""
    (tmp_path / "file").write_text("")
    settings = settings_for(tmp_path / "file", host="0.0.0.0")
    with pytest.raises(StartupError, match="cannot be kept"):
        first_key.prepare(settings, KeyStore(tmp_path / "file"))
    settings = settings_for(tmp_path / "file", api_keys=["password1"])
    with pytest.raises(StartupError, match="cannot be kept"):  # nor does a reload take it over
        first_key.configure(settings, KeyStore(tmp_path / "file"))
