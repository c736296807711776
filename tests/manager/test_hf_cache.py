"""The layout of the Hugging Face cache."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.manager.model_folders import put_cached

from tricorn.manager.catalog import hf_cache
from tricorn.settings.config import Settings


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HF_HOME", "HF_HUB_CACHE"):
        monkeypatch.delenv(name, raising=False)


def test_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """HF_HUB_CACHE before HF_HOME before the folder that the system has for caches."""
    monkeypatch.setenv("HOME", str(tmp_path))
    assert hf_cache.folder(Settings(), {}) == tmp_path / ".cache/huggingface/hub"
    elsewhere = {"XDG_CACHE_HOME": str(tmp_path / "x")}
    assert hf_cache.folder(Settings(), elsewhere) == tmp_path / "x/huggingface/hub"
    assert hf_cache.folder(Settings(hf_home=Path("~/h")), elsewhere) == tmp_path / "h/hub"
    both = Settings(hf_home=tmp_path / "h", hf_hub_cache=tmp_path / "c")
    assert hf_cache.folder(both, elsewhere) == tmp_path / "c"


def test_the_revision_of_main_counts(tmp_path: Path) -> None:
    """Else the newest one."""
    snapshot = put_cached(tmp_path, "org/m")
    other = snapshot.with_name("fff999")
    other.mkdir()
    os.utime(snapshot, ns=(1, 1))
    (one,) = hf_cache.repositories(tmp_path)
    assert (one.id, one.snapshot, one.incomplete) == ("org/m", snapshot, False)
    (tmp_path / "models--org--m/refs/main").write_text("gone")
    (one,) = hf_cache.repositories(tmp_path)
    assert one.snapshot == other


def test_what_is_no_model(tmp_path: Path) -> None:
    """Datasets, spaces, links and files are passed over, and so is what cannot be there at all."""
    put_cached(tmp_path, "gpt2")
    for name in ("datasets--org--d", "spaces--org--s", ".locks"):
        (tmp_path / name / "snapshots/x").mkdir(parents=True)
    (tmp_path / "models--a--file").write_text("")
    (tmp_path / "models--a--link").symlink_to(tmp_path / "models--gpt2")
    assert [one.id for one in hf_cache.repositories(tmp_path)] == ["gpt2"]
    assert list(hf_cache.repositories(tmp_path / "none")) == []


def test_an_empty_repository(tmp_path: Path) -> None:
    """Somebody asked for a file that is not there: nothing to list."""
    (tmp_path / "models--org--m/refs").mkdir(parents=True)
    (one,) = hf_cache.repositories(tmp_path)
    assert (one.snapshot, one.incomplete) == (None, False)
