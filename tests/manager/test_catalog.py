"""Tests of `tricorn.manager.catalog.catalog`: what is found, named, and read again."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.manager.catalogs import WHOLE, catalog, put
from tests.manager.model_folders import put_folder

from tricorn.model_facts import gguf, safetensors


def test_ids_are_paths_below_the_root(tmp_path: Path) -> None:
    """A model is named by its path without the suffix, dots and folders kept."""
    put(tmp_path, "a.Q4_1.gguf", "org/b.GGUF")
    specs = catalog(tmp_path).scan()
    assert list(specs) == ["a.Q4_1", "org/b"]
    spec = specs["a.Q4_1"]
    assert spec.path == str(tmp_path / "a.Q4_1.gguf")
    assert (spec.format, spec.engine, spec.fault) == ("gguf", "llamacpp", None)
    assert spec.size_bytes == len(WHOLE)
    assert spec.created > 0
    assert "llama.cpp" in spec.engine_reason


def test_what_is_no_model_is_passed_over(tmp_path: Path) -> None:
    """Hidden files and folders, mmproj files and other suffixes are no models."""
    put(tmp_path, ".a.gguf", ".fetch-x/b.gguf", "mmproj-c.gguf", "c-MMProj-f16.gguf")
    put(tmp_path, "d.txt", "e.gguf.partial")
    assert catalog(tmp_path).scan() == {}


def test_missing_root_is_empty(tmp_path: Path) -> None:
    """A model folder that is not there yet holds nothing."""
    assert catalog(tmp_path / "none").scan() == {}


def test_a_hundred_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each file is read once, however often it is looked for."""
    put(tmp_path, *(f"{number}.gguf" for number in range(100)))
    read: list[Path] = []
    inspect = gguf.inspect
    monkeypatch.setattr(gguf, "inspect", lambda path: read.append(path) or inspect(path))
    found = catalog(tmp_path)
    assert len(found.scan()) == len(read) == 100
    put(tmp_path, "new.gguf")
    assert len(found.scan()) == len(read) == 101


@pytest.mark.skipif(os.name != "posix", reason="needs symbolic links")
def test_links(tmp_path: Path) -> None:
    """Links within the root are followed, those that leave it are refused, circles end."""
    root, outside = tmp_path / "models", tmp_path / "outside"
    put(root, "real/a.gguf")
    put(outside, "b.gguf")
    (root / "link.gguf").symlink_to(root / "real/a.gguf")
    (root / "out.gguf").symlink_to(outside / "b.gguf")
    (root / "folder").symlink_to(outside)
    (root / "real/up").symlink_to(root)
    (root / "loop").symlink_to(root / "loop")
    (root / "nowhere.gguf").symlink_to(root / "gone.gguf")
    specs = catalog(root).scan()
    assert sorted(specs) == ["link", "out", "real/a"]
    assert specs["link"].fault is None
    assert specs["out"].fault == "a link that leads out of the folder"


def test_changes_are_seen_by_the_next_scan(tmp_path: Path) -> None:
    """A file that was mended, added or removed shows at the next scan."""
    put(tmp_path, "a.gguf", content=b"half")
    found = catalog(tmp_path)
    assert found.scan()["a"].fault is not None
    put(tmp_path, "a.gguf", "b.gguf")
    assert [spec.fault for spec in found.scan().values()] == [None, None]
    (tmp_path / "a.gguf").unlink()
    assert list(found.scan()) == ["b"]


def test_unchanged_files_are_not_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second scan opens nothing."""
    put(tmp_path, "a.gguf")
    put_folder(tmp_path / "f")
    found = catalog(tmp_path)
    first = found.scan()
    for module in (gguf, safetensors):
        monkeypatch.setattr(module, "inspect", lambda path: pytest.fail(f"{path} was read again"))
    assert found.scan() == first
