"""Tests of `tricorn.manager.catalog.adapters`, through the catalog where adapters are found."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from tests.manager.catalogs import catalog, put
from tests.manager.model_folders import LLAMA, put_adapter, put_folder

from tricorn.engines.spec import Adapter, EngineCapabilities, LoadedModel, ModelSpec
from tricorn.manager.catalog import adapter_folder, adapters


def names(spec: ModelSpec) -> list[str]:
    return [adapter.name for adapter in spec.adapters]


def test_in_the_folder_of_its_model(tmp_path: Path) -> None:
    """In `adapters/` or beside it, whatever its configuration calls the model."""
    put_folder(tmp_path / "org/m")
    folder = put_adapter(tmp_path / "org/m/adapters/a", base="another", rank=32)
    put_adapter(tmp_path / "org/m/b")
    put_adapter(tmp_path / "org/m/team/c")
    specs = catalog(tmp_path).scan()
    assert list(specs) == ["org/m"]
    assert names(specs["org/m"]) == ["a", "b", "team/c"]
    first = specs["org/m"].adapters[0]
    assert (first.path, first.rank) == (str(folder), 32)
    assert first.size_bytes > 0
    assert first.created > 0


@pytest.mark.parametrize("base", ["org/m", "other/m", "m", "/home/x/models/m/", "C:\\models\\m"])
def test_by_the_name_of_its_base(tmp_path: Path, base: str) -> None:
    """The last part of what it was trained on finds the model."""
    put_folder(tmp_path / "org/m")
    put_folder(tmp_path / "org/n")
    put_adapter(tmp_path / "loras/a", base=base)
    specs = catalog(tmp_path).scan()
    assert names(specs["org/m"]) == ["loras/a"]
    assert names(specs["org/n"]) == []


def test_by_the_folder_of_a_named_model(tmp_path: Path) -> None:
    """A model of the settings is found by the name of its folder as well."""
    folder = put_folder(tmp_path / "elsewhere/Llama-1B")
    put_adapter(tmp_path / "models/a", base="meta/Llama-1B")
    specs = catalog(tmp_path / "models", {"llama": {"path": folder}}).scan()
    assert names(specs["llama"]) == ["a"]


def test_of_a_model_elsewhere(tmp_path: Path) -> None:
    """Adapters in the folder of a model outside the root are found too."""
    folder = put_folder(tmp_path / "elsewhere/m")
    put_adapter(folder / "adapters/a")
    specs = catalog(tmp_path / "models", {"big": {"path": folder}}).scan()
    assert names(specs["big"]) == ["a"]


def test_two_entries_of_one_folder_share_its_adapters(tmp_path: Path) -> None:
    """The model by its own id, and under the name that the settings give it."""
    folder = put_folder(tmp_path / "m")
    put_adapter(folder / "adapters/a")
    specs = catalog(tmp_path, {"alias": {"path": folder}}).scan()
    assert names(specs["m"]) == names(specs["alias"]) == ["a"]


def test_named_in_the_settings(tmp_path: Path) -> None:
    """`adapters:` under a model names folders anywhere, before those that are found."""
    put_folder(tmp_path / "models/m")
    folder = put_adapter(tmp_path / "elsewhere/x", base="whatever")
    put_adapter(tmp_path / "models/m/adapters/mine")
    entry = {"adapters": {"mine": folder, "gone": tmp_path / "gone"}}
    specs = catalog(tmp_path / "models", {"m": entry}).scan()
    assert [(a.name, a.path) for a in specs["m"].adapters] == [("mine", str(folder))]
    assert "there is no folder" in (specs["m:gone"].fault or "")


def test_of_a_gguf_model(tmp_path: Path) -> None:
    """They are the model's all the same; that its engine takes none is told to who asks."""
    put(tmp_path, "m.gguf")
    put_adapter(tmp_path / "m/adapters/a")
    spec = catalog(tmp_path).scan()["m"]
    assert names(spec) == ["a"]
    told = adapters.engine_fault(spec)
    assert told is not None
    assert "need the vLLM engine, and m is served by llamacpp" in told


def test_a_model_that_can_have_them_is_preferred(tmp_path: Path) -> None:
    """Of a GGUF and a folder of one name, the folder gets the adapter."""
    put(tmp_path, "a/m.gguf")
    put_folder(tmp_path / "b/m")
    put_adapter(tmp_path / "x", base="m")
    specs = catalog(tmp_path).scan()
    assert (names(specs["a/m"]), names(specs["b/m"])) == ([], ["x"])


@pytest.mark.parametrize(
    ("given", "listed", "fault"),
    [
        ({"weights": None}, "m:x", "it has no adapter_model.safetensors"),
        ({"base": "nobody/n"}, "x", "an adapter for nobody/n, which is not here"),
        ({"base": None}, "x", "does not say for which model"),
        ({"base": "two"}, "x", "several models are called two (a/two, b/two)"),
    ],
)
def test_faults_are_listed(tmp_path: Path, given: dict[str, Any], listed: str, fault: str) -> None:
    """A broken adapter is an entry with its fault, and does no harm to its model."""
    for name in ("m", "a/two", "b/two"):
        put_folder(tmp_path / name)
    put_adapter(tmp_path / "x", **({"base": "m"} | given))
    specs = catalog(tmp_path).scan()
    assert fault in (specs[listed].fault or "")
    assert (specs[listed].format, specs["m"].fault, specs["m"].adapters) == ("lora", None, ())


def test_two_of_one_name(tmp_path: Path) -> None:
    """The first one counts; nothing is listed twice."""
    put_folder(tmp_path / "m")
    put_adapter(tmp_path / "m/a")
    folder = put_adapter(tmp_path / "m/adapters/a")
    specs = catalog(tmp_path).scan()
    assert list(specs) == ["m"]
    assert [adapter.path for adapter in specs["m"].adapters] == [str(tmp_path / "m/a")]
    assert folder.is_dir()


@pytest.mark.skipif(os.name != "posix", reason="needs symbolic links")
def test_folders_that_leave_the_root(tmp_path: Path) -> None:
    """Listed with their fault, unread."""
    put_folder(tmp_path / "models/m")
    outside = put_adapter(tmp_path / "outside", base="m")
    (tmp_path / "models/m/adapters").mkdir()
    (tmp_path / "models/m/adapters/a").symlink_to(outside)
    specs = catalog(tmp_path / "models").scan()
    assert specs["m"].adapters == ()
    assert "a link that leads out of the folder" in (specs["m:a"].fault or "")


def test_what_is_in_an_adapter_belongs_to_it(tmp_path: Path) -> None:
    """Checkpoints of its training, and the same as a GGUF, are not listed."""
    put_folder(tmp_path / "m")
    put_adapter(tmp_path / "m/a/checkpoint-100")
    put_adapter(tmp_path / "m/a")
    put(tmp_path, "m/a/lora.gguf")
    specs = catalog(tmp_path).scan()
    assert list(specs) == ["m"]
    assert names(specs["m"]) == ["a"]


def test_changes_are_seen_by_the_next_scan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Added, changed and removed; what is unchanged is not read again."""
    put_folder(tmp_path / "m")
    found = catalog(tmp_path)
    assert found.scan()["m"].adapters == ()
    folder = put_adapter(tmp_path / "m/a")
    (first,) = found.scan()["m"].adapters
    inspect = adapter_folder.inspect
    monkeypatch.setattr(adapter_folder, "inspect", lambda *_, **__: pytest.fail("read again"))
    assert found.scan()["m"].adapters == (first,)
    monkeypatch.setattr(adapter_folder, "inspect", inspect)
    os.utime(folder / adapter_folder.WEIGHTS, (5, 5))
    assert found.scan()["m"].adapters[0].version != first.version
    (folder / adapter_folder.CONFIG).unlink()
    assert found.scan()["m"].adapters == ()


# --- requests -----------------------------------------------------------------------------------


def model(model_id: str, *ranks: int) -> ModelSpec:
    given = tuple(Adapter(f"r{rank}", "", rank, 1) for rank in ranks)
    return ModelSpec(model_id, "", "hf", "vllm", "", 0, 0, adapters=given)


def test_base_and_name_are_told_apart() -> None:
    """By what there is: both may hold colons."""
    named = ModelSpec("a:b", "", "hf", "vllm", "", 0, 0, adapters=(Adapter("x:y", "", 8, 1),))
    specs = {"a": model("a", 8), "a:b": named}
    assert adapters.split("a:r8", specs.get) == ("a", "r8")
    assert adapters.split("a:b:x:y", specs.get) == ("a:b", "x:y")
    assert adapters.split("a:b:r8", specs.get) is None
    assert adapters.split("a", specs.get) is None


def test_when_a_load_helps() -> None:
    """A loaded model takes ranks up to the largest that its load was told of."""
    loaded = LoadedModel(1, 1, 1, EngineCapabilities(adapters=True), max_adapter_rank=16)
    bare = LoadedModel(1, 1, 1, EngineCapabilities())
    small, large = Adapter("s", "", 8, 1), Adapter("l", "", 64, 1)
    assert adapters.fits(small, loaded)
    assert not adapters.fits(large, loaded)
    assert not adapters.fits(small, bare)
    assert adapters.helped_by_load(small, model("m"))
    assert adapters.helped_by_load(large, model("m", 8))
    assert not adapters.helped_by_load(small, model("m", 8))
    assert "its rank is 64, and the model takes ranks up to 16" in str(
        adapters.refusal("m:l", large, loaded)
    )
    assert "loaded without LoRA" in str(adapters.refusal("m:s", small, bare))


def test_quantised_models_take_adapters_where_vllm_serves_them(tmp_path: Path) -> None:
    """Only the engine counts: an MLX folder's adapters are refused."""
    mlx = LLAMA | {"quantization": {"group_size": 64, "bits": 4}}
    put_folder(tmp_path / "m", config=mlx)
    put_adapter(tmp_path / "m/a")
    assert "served by mlx" in (adapters.engine_fault(catalog(tmp_path).scan()["m"]) or "")
