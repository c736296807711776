"""Models of the Hugging Face hub in the catalog: those of its cache, and entries by a hub id."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.manager.catalogs import catalog, put
from tests.manager.model_folders import WEIGHT, put_cached, put_folder

from tricorn.manager.catalog import hf_folder
from tricorn.model_facts import gguf


def test_models_of_the_cache(tmp_path: Path) -> None:
    """By their repository's name: a folder, a GGUF file alone, and each of several ones."""
    cache = tmp_path / "hub"
    put_cached(cache, "org/folder")
    put_cached(cache, "org/one-GGUF", "one-Q4_K_M.gguf")
    put_cached(cache, "org/many-GGUF", "many-Q4_K_M.gguf", "many-Q8_0.gguf", "mmproj-F16.gguf")
    specs = catalog(tmp_path / "models", hf_cache=True, hf_hub_cache=cache).scan()
    assert {name: (spec.format, spec.fault) for name, spec in specs.items()} == {
        "org/folder": ("hf", None),
        "org/many-GGUF/many-Q4_K_M": ("gguf", None),
        "org/many-GGUF/many-Q8_0": ("gguf", None),
        "org/one-GGUF": ("gguf", None),
    }
    assert specs["org/one-GGUF"].path.endswith("/one-Q4_K_M.gguf")
    assert specs["org/folder"].size_bytes == WEIGHT


def test_the_cache_can_be_left_out(tmp_path: Path) -> None:
    """HF_CACHE=false lists nothing of it; an entry that names a repository has it all the same."""
    cache = tmp_path / "hub"
    put_cached(cache, "org/m")
    put_cached(cache, "org/n")
    models = {"mine": {"repo": "org/n"}}
    found = catalog(tmp_path / "models", models, hf_cache=False, hf_hub_cache=cache).scan()
    assert {name: spec.fault for name, spec in found.items()} == {"mine": None}


def test_models_and_settings_go_before_the_cache(tmp_path: Path) -> None:
    """Of one id, what lies in MODEL_BASE_PATH is meant; settings lie over cached models too."""
    cache, root = tmp_path / "hub", tmp_path / "models"
    put_cached(cache, "org/m")
    put_cached(cache, "org/n")
    put_folder(root / "org/m")
    found = catalog(root, {"org/n": {"threads": 3}}, hf_cache=True, hf_hub_cache=cache).scan()
    assert found["org/m"].path == str(root / "org/m")
    assert found["org/n"].options.threads == 3
    assert "snapshots" in found["org/n"].path


def test_a_download_that_has_not_ended(tmp_path: Path) -> None:
    """Nothing of it, or a part: listed with that as its fault, and how to go on."""
    cache = tmp_path / "hub"
    (cache / "models--org--begun/blobs").mkdir(parents=True)
    (cache / "models--org--begun/blobs/abc.incomplete").write_bytes(b"x")
    snapshot = put_cached(cache, "org/half", parts=2)
    (snapshot / "model-00002-of-00002.safetensors").unlink()
    (cache / "models--org--half/blobs/def.incomplete").write_bytes(b"x")
    specs = catalog(tmp_path / "models", hf_cache=True, hf_hub_cache=cache).scan()
    again = "its download is not complete: `tricorn pull org/{}` continues it"
    missing = "parts of the model are missing: model-00002-of-00002.safetensors"
    assert {name: spec.fault for name, spec in specs.items()} == {
        "org/begun": again.format("begun"),
        "org/half": f"{missing}; {again.format('half')}",
    }


def test_links_stay_in_the_cache(tmp_path: Path) -> None:
    """To the blobs is fine; out of the cache is refused."""
    cache = tmp_path / "hub"
    snapshot = put_cached(cache, "org/m")
    secret = tmp_path / "secret.json"
    secret.write_text("{}")
    (snapshot / "generation_config.json").symlink_to(secret)
    spec = catalog(tmp_path / "models", hf_cache=True, hf_hub_cache=cache).scan()["org/m"]
    assert "a link that leads out" in (spec.fault or "")


def test_cached_models_are_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As those of MODEL_BASE_PATH."""
    cache = tmp_path / "hub"
    put_cached(cache, "org/m")
    put_cached(cache, "org/g", "g.gguf")
    found = catalog(tmp_path / "models", hf_cache=True, hf_hub_cache=cache)
    first = found.scan()
    monkeypatch.setattr(hf_folder, "inspect", lambda *_, **__: pytest.fail("read again"))
    monkeypatch.setattr(gguf, "inspect", lambda *_: pytest.fail("read again"))
    assert found.scan() == first


@pytest.mark.parametrize(
    ("entry", "path", "fault"),
    [
        ({"repo": "org/one"}, "org/one/one-Q4_0.gguf", None),
        ({"repo": "org/two:q8_0"}, "org/two/two-Q8_0.gguf", None),
        (
            {"repo": "org/two"},
            "",
            "org/two has several models (org/two/two-Q4_0, org/two/two-Q8_0)",
        ),
        ({"repo": "org/two:Q2_K"}, "", "`tricorn pull org/two:Q2_K` fetches it"),
        ({"repo": "org/one", "format": "hf"}, "", "no model of the format hf, but: gguf"),
        ({"repo": "org/on"}, "", "`tricorn pull org/on` fetches it"),
        ({"repo": "org/both", "format": "gguf"}, "org/both/b.gguf", None),
        ({"repo": "org/both"}, "org/both", None),
    ],
)
def test_a_hub_id_in_place_of_a_path(
    tmp_path: Path, entry: dict[str, Any], path: str, fault: str | None
) -> None:
    """Found in MODEL_BASE_PATH where `tricorn pull` has put it; told how to get it where not."""
    put(tmp_path, "org/one/one-Q4_0.gguf", "org/two/two-Q4_0.gguf", "org/two/two-Q8_0.gguf")
    put_folder(tmp_path / "org/both")
    put(tmp_path, "org/both/b.gguf")
    spec = catalog(tmp_path, {"mine": entry}).scan()["mine"]
    assert spec.path == (str(tmp_path / path) if path else "")
    assert (spec.fault is None) if fault is None else fault in (spec.fault or "")
