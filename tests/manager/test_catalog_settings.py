"""What the settings say of models, over what the catalog finds."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import CapturingLogger
from tests.manager.catalogs import LINUX, WHOLE, catalog, put
from tests.manager.model_folders import put_folder

from tricorn.hardware.choice import choose_engine
from tricorn.manager.catalog.catalog import Catalog
from tricorn.settings.config import ModelDefaults, ModelSettings, Settings


def test_settings_lie_over_a_file(tmp_path: Path) -> None:
    """An entry of the same name gives a scanned file its options; others get the defaults."""
    put(tmp_path, "a.gguf", "b.gguf")
    specs = catalog(tmp_path, {"a": {"context_length": 512}}, max_num_seqs=4).scan()
    assert specs["a"].options.context_length == 512
    assert specs["b"].options.context_length is None
    assert specs["a"].options.max_num_seqs == specs["b"].options.max_num_seqs == 4


def test_a_chat_template_of_ones_own(tmp_path: Path) -> None:
    """Its text goes to the engine; a new text is a change of the model."""
    put(tmp_path, "m.gguf")
    file = tmp_path / "own.jinja"
    file.write_text("first {{ messages }}")
    models = catalog(tmp_path, {"m": {"chat_template": str(file)}})
    assert models.scan()["m"].options.chat_template == "first {{ messages }}"
    file.write_text("second {{ messages }}")
    assert models.scan()["m"].options.chat_template == "second {{ messages }}"


@pytest.mark.parametrize(("content", "reason"), [(None, "No such file"), (b"\xff\xfe", "no UTF-8")])
def test_a_chat_template_that_cannot_be_read(
    tmp_path: Path, content: bytes | None, reason: str
) -> None:
    """The model is listed with the fault, as it would answer otherwise than was wished."""
    put(tmp_path, "m.gguf")
    file = tmp_path / "own.jinja"
    if content is not None:
        file.write_bytes(content)
    spec = catalog(tmp_path, {"m": {"chat_template": str(file)}}).scan()["m"]
    assert "chat template" in (spec.fault or "")
    assert reason in (spec.fault or "")


def test_entry_with_a_path_elsewhere(tmp_path: Path) -> None:
    """A model of the settings may lie outside the root, split or not."""
    put(tmp_path / "elsewhere", "x-00001-of-00002.gguf", "x-00002-of-00002.gguf", "y.gguf")
    models = {
        "split": {"path": tmp_path / "elsewhere/x-00001-of-00002.gguf"},
        "one": {"path": tmp_path / "elsewhere/y.gguf"},
    }
    specs = catalog(tmp_path / "models", models).scan()
    assert specs["split"].size_bytes == 2 * len(WHOLE)
    assert specs["one"].path.endswith("y.gguf")
    assert [spec.fault for spec in specs.values()] == [None, None]


@pytest.mark.parametrize(
    ("entry", "fault"),
    [
        ({}, "there is no file m.gguf"),
        ({"path": "gone.gguf"}, "there is no file"),
        ({"path": "."}, "is a folder without a model"),
        ({"engine": "vllm"}, "vllm cannot serve a GGUF file"),
        ({"engine": "none"}, "no engine named"),
    ],
)
def test_entry_that_cannot_be_served(tmp_path: Path, entry: dict[str, Any], fault: str) -> None:
    """An entry that names nothing usable is listed with its fault."""
    if "engine" in entry:
        put(tmp_path, "m.gguf")
    spec = catalog(tmp_path, {"m": entry}).scan()["m"]
    assert fault in (spec.fault or "")


def test_device_type_is_a_preference(tmp_path: Path) -> None:
    """DEVICE_TYPE that this machine does not have is a fault of each model."""
    put(tmp_path, "m.gguf")
    spec = catalog(tmp_path, device_type="cuda").scan()["m"]
    assert "no NVIDIA GPU was found" in (spec.fault or "")


def test_fake_engine_needs_no_file(tmp_path: Path) -> None:
    """A fake model comes from the settings alone."""
    spec = catalog(tmp_path, {"f": {"engine": "fake", "engine_args": {"answer": "x"}}}).scan()["f"]
    assert (spec.format, spec.engine, spec.path, spec.fault) == ("fake", "fake", "", None)
    assert spec.options.engine_args == {"answer": "x"}


def test_what_is_said_of_an_engine_is_said_of_its_models(tmp_path: Path) -> None:
    """And of no others."""
    put(tmp_path, "a.gguf")
    put_folder(tmp_path / "b")
    specs = catalog(tmp_path, vllm_tensor_parallel_size=2).scan()
    assert specs["a"].options.engine_args == {}
    assert (specs["b"].engine, specs["b"].options.engine_args) == (
        "vllm",
        {"tensor_parallel_size": 2},
    )


def test_another_format_than_is_meant(tmp_path: Path) -> None:
    """It would be served by another engine."""
    put(tmp_path, "m.gguf")
    spec = catalog(tmp_path, {"m": {"format": "mlx"}}).scan()["m"]
    assert (spec.fault or "").startswith("the settings say format mlx, and ")
    assert catalog(tmp_path, {"m": {"format": "gguf"}}).scan()["m"].fault is None


def test_defaults_of_all_models(tmp_path: Path) -> None:
    """They hold for models that the settings do not name, and lie under those that they do."""
    put(tmp_path, "a.gguf", "b.gguf")
    shared = ModelDefaults.model_validate({"threads": 3, "ttl": 60})
    specs = catalog(tmp_path, {"b": {"threads": 5}}, model_defaults=shared).scan()
    found = {name: (spec.options.threads, spec.serving.ttl_s) for name, spec in specs.items()}
    assert found == {"a": (3, 60), "b": (5, 60)}


def test_aliases_that_clash(tmp_path: Path) -> None:
    """The first one counts; the other model serves under its own name, with a warning."""
    fakes = {name: {"engine": "fake", "aliases": ["x", "f"]} for name in ("g", "f")}
    specs = catalog(tmp_path, fakes).scan()
    assert (specs["g"].aliases, specs["f"].aliases) == (("x",), ())
    assert specs["g"].warnings == ("the alias f of g does not count: f is a model already",)
    assert specs["f"].warnings == ("the alias x of f does not count: it is an alias of g already",)
    assert specs["f"].fault is None


def test_a_warning_is_logged_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not by each scan; again after it was gone."""
    log = CapturingLogger()
    monkeypatch.setattr("tricorn.manager.catalog.catalog.log", log)
    fakes = {name: {"engine": "fake", "aliases": ["x"]} for name in ("g", "f")}
    found = catalog(tmp_path, fakes)
    with_both = found._settings
    found.scan()
    found.scan()
    assert [call.kwargs for call in log.calls] == [{"model": "f"}]
    found.configure(Settings(model_base_path=tmp_path, hf_cache=False))
    found.scan()
    found.configure(with_both)
    found.scan()
    assert len(log.calls) == 2


def test_a_cache_size_without_a_cache(tmp_path: Path) -> None:
    """Said, for it is in vain."""
    fakes = {"f": {"engine": "fake", "enable_caching": False, "cache_size": 3}}
    spec = catalog(tmp_path, fakes).scan()["f"]
    assert spec.warnings == ("cache_size does not count: enable_caching is false",)
    assert (spec.options.prefix_cache, spec.options.cache_size) == (False, 3)


def test_cores_that_are_not_there(tmp_path: Path) -> None:
    """A fault, before any load."""
    fault = catalog(tmp_path, {"f": {"engine": "fake", "cpus": [60000]}}).scan()["f"].fault
    assert (fault or "").startswith("cpus names 60000, and this machine has ")


def test_other_settings_hold_from_the_next_scan_on(tmp_path: Path) -> None:
    """As a reload has it; nothing is read again for that."""
    put(tmp_path, "m.gguf")
    found = catalog(tmp_path)
    assert found.scan()["m"].options.threads is None
    found.configure(Settings(model_base_path=tmp_path, hf_cache=False, max_cpu_threads=2))
    assert found.scan()["m"].options.threads == 2


def test_entries_beside_those_of_the_settings(tmp_path: Path) -> None:
    """What was added while Tricorn runs is asked for at each scan."""
    added: dict[str, ModelSettings] = {}
    settings = Settings(model_base_path=tmp_path, hf_cache=False)
    choose = functools.partial(choose_engine, LINUX)
    found = Catalog(settings, choose, entries=lambda known: {**known.models, **added})
    assert found.scan() == {}
    added["f@1"] = ModelSettings.model_validate({"engine": "fake"})
    assert list(found.scan()) == ["f@1"]
