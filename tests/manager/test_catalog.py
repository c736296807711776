"""Tests of `tricorn.manager.catalog.catalog`."""

from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import CapturingLogger
from tests.manager.model_folders import LLAMA, WEIGHT, put_cached, put_folder
from tests.model_facts.gguf_files import LLAMA as GGUF_LLAMA
from tests.model_facts.gguf_files import gguf as gguf_file

from tricorn.hardware.choice import choose_engine
from tricorn.hardware.facts import Facts
from tricorn.manager.catalog import hf_folder
from tricorn.manager.catalog.catalog import Catalog
from tricorn.model_facts import gguf, safetensors
from tricorn.settings.config import ModelDefaults, ModelSettings, Settings

WHOLE = gguf_file()
LINUX = Facts(os="linux", arch="x86_64", nvidia_gpus=())


def put(folder: Path, *names: str, content: bytes | None = None) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(WHOLE if content is None else content)


def catalog(root: Path, models: dict[str, Any] | None = None, **given: Any) -> Catalog:
    entries = {name: ModelSettings.model_validate(entry) for name, entry in (models or {}).items()}
    settings = Settings(model_base_path=root, models=entries, **({"hf_cache": False} | given))
    return Catalog(settings, functools.partial(choose_engine, LINUX))


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


def test_split_model_is_one(tmp_path: Path) -> None:
    """The parts of a split file are one model; its path is the first part."""
    put_parts(tmp_path, 3)
    (spec,) = catalog(tmp_path).scan().values()
    assert spec.id == "m"
    assert spec.path.endswith("m-00001-of-00003.gguf")
    assert spec.size_bytes == sum(file.stat().st_size for file in tmp_path.iterdir())
    assert spec.fault is None
    assert spec.facts is not None
    assert spec.facts.parameters == 3 * (64 * 3 + 64 * 64)


def put_parts(folder: Path, count: int) -> None:
    for part in range(count):
        split = {"split.no": part, "split.count": count}
        name = f"m-{part + 1:05d}-of-{count:05d}.gguf"
        put(folder, name, content=gguf_file(GGUF_LLAMA | split if part == 0 else split))


def test_part_under_another_name(tmp_path: Path) -> None:
    """A part of a split model that was renamed cannot be put together with the others."""
    put(tmp_path, "m.gguf", content=gguf_file(GGUF_LLAMA | {"split.no": 1, "split.count": 3}))
    fault = catalog(tmp_path).scan()["m"].fault
    assert fault == ("this is part 2 of 3 of a model: its name must end in -00002-of-00003.gguf")


def test_file_that_was_cut_off(tmp_path: Path) -> None:
    """Its download never ended: it is listed with how much is there, and is not tried."""
    put(tmp_path, "m.gguf", content=WHOLE[:-100])
    fault = catalog(tmp_path).scan()["m"].fault
    assert fault == f"the file is incomplete: {len(WHOLE) - 100} of {len(WHOLE)} bytes"


def test_facts_and_estimate(tmp_path: Path) -> None:
    """What the files tell is known before any load, and so is about what a load takes."""
    put(tmp_path, "a.gguf")
    put_folder(tmp_path / "f")
    specs = catalog(tmp_path, {"a": {"context_length": 512}}).scan()
    facts, estimate = specs["a"].facts, specs["a"].estimate
    assert facts is not None
    assert (facts.architecture, facts.quantisation, facts.vision) == ("llama", "Q8_0", False)
    assert estimate is not None
    assert estimate.context_length == 512
    assert estimate.weights == facts.weight_bytes
    folder = specs["f"].facts
    assert folder is not None
    assert (folder.architecture, folder.parameters) == ("LlamaForCausalLM", 4)
    assert specs["f"].estimate is None  # its configuration says too little


def test_the_vision_half_counts(tmp_path: Path) -> None:
    """A model with an mmproj file beside it will see, and takes that much more memory."""
    put(tmp_path, "a.gguf")
    plain = catalog(tmp_path).scan()["a"].facts
    put(tmp_path, "mmproj-a.gguf")
    seeing = catalog(tmp_path).scan()["a"].facts
    blind = catalog(tmp_path, {"a": {"engine_args": {"mmproj": ""}}}).scan()["a"].facts
    assert plain is not None
    assert seeing is not None
    assert (seeing.vision, seeing.weight_bytes) == (True, plain.weight_bytes + len(WHOLE))
    assert blind == plain


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


@pytest.mark.parametrize("missing", [1, 2, 3])
def test_missing_part_is_a_fault(tmp_path: Path, missing: int) -> None:
    """A split model without all its parts is listed with the names of those that are missing."""
    put_parts(tmp_path, 3)
    (tmp_path / f"m-0000{missing}-of-00003.gguf").unlink()
    (spec,) = catalog(tmp_path).scan().values()
    assert spec.fault == f"parts of the model are missing: m-0000{missing}-of-00003.gguf"


def test_broken_file_is_listed_with_its_fault(tmp_path: Path) -> None:
    """A broken file does no harm to others and says what is wrong with it."""
    put(tmp_path, "good.gguf")
    put(tmp_path, "bad.gguf", content=b"<html>404</html>")
    specs = catalog(tmp_path).scan()
    assert specs["good"].fault is None
    assert "not a GGUF file" in (specs["bad"].fault or "")


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


def test_folders_are_models(tmp_path: Path) -> None:
    """A Hugging Face folder and an MLX folder are named by their path, with engine and device."""
    put_folder(tmp_path / "org/plain", parts=2)
    mlx = LLAMA | {"quantization": {"group_size": 64, "bits": 4}}
    put_folder(tmp_path / "quantised", config=mlx)
    specs = catalog(tmp_path).scan()
    assert list(specs) == ["org/plain", "quantised"]
    plain, quantised = specs.values()
    assert (plain.format, plain.engine, plain.device, plain.fault) == ("hf", "vllm", "cpu", None)
    assert (plain.path, plain.size_bytes) == (str(tmp_path / "org/plain"), 2 * WEIGHT)
    assert plain.created > 0
    assert "slower than a GGUF" in plain.engine_reason
    assert (quantised.format, quantised.engine, quantised.fault) == ("mlx", "mlx", None)


def test_broken_folder_is_listed_with_its_fault(tmp_path: Path) -> None:
    """A folder that lacks something is there, and says what."""
    put_folder(tmp_path / "m", tokenizer=None)
    assert "no tokenizer" in (catalog(tmp_path).scan()["m"].fault or "")


def test_folder_that_nothing_here_can_serve(tmp_path: Path) -> None:
    """A model that needs another machine is listed with the reason."""
    put_folder(tmp_path / "m", config=LLAMA | {"quantization_config": {"quant_method": "awq"}})
    spec = catalog(tmp_path).scan()["m"]
    assert "AWQ need vLLM on an NVIDIA GPU" in (spec.fault or "")
    assert (spec.engine, spec.device) == ("", "")


def test_folders_in_a_model_folder_belong_to_it(tmp_path: Path) -> None:
    """What lies inside is no further model, but for GGUF files; hidden folders are passed over."""
    put_folder(tmp_path / "m")
    put_folder(tmp_path / "m/onnx")
    put_folder(tmp_path / ".cache/m")
    put(tmp_path, "m/small.gguf")
    specs = catalog(tmp_path).scan()
    assert {spec.id: spec.format for spec in specs.values()} == {"m": "hf", "m/small": "gguf"}


def test_folder_and_file_of_one_name(tmp_path: Path) -> None:
    """Both can be asked for."""
    put_folder(tmp_path / "m")
    put(tmp_path, "m.gguf")
    specs = catalog(tmp_path).scan()
    assert {spec.id: spec.format for spec in specs.values()} == {"m": "gguf", "m.hf": "hf"}


def test_the_root_itself_can_be_a_model(tmp_path: Path) -> None:
    """MODEL_BASE_PATH may be one model's folder."""
    put_folder(tmp_path / "SmolLM2")
    assert list(catalog(tmp_path / "SmolLM2").scan()) == ["SmolLM2"]


def test_folder_elsewhere(tmp_path: Path) -> None:
    """`path:` may name a folder outside the root, and the entry's options hold."""
    folder = put_folder(tmp_path / "elsewhere/x")
    models = {"big": {"path": folder, "max_num_seqs": 3}}
    spec = catalog(tmp_path / "models", models).scan()["big"]
    assert (spec.format, spec.fault, spec.path) == ("hf", None, str(folder))
    assert spec.options.max_num_seqs == 3


def test_settings_lie_over_a_folder(tmp_path: Path) -> None:
    """An entry of a folder's id chooses the engine."""
    put_folder(tmp_path / "m")
    assert catalog(tmp_path, {"m": {"engine": "mlx"}}).scan()["m"].engine == "mlx"


def test_device_type_is_a_preference(tmp_path: Path) -> None:
    """DEVICE_TYPE that this machine does not have is a fault of each model."""
    put(tmp_path, "m.gguf")
    spec = catalog(tmp_path, device_type="cuda").scan()["m"]
    assert "no NVIDIA GPU was found" in (spec.fault or "")


@pytest.mark.skipif(os.name != "posix", reason="needs symbolic links")
def test_folders_that_leave_the_root(tmp_path: Path) -> None:
    """A folder that is a link out is passed over; one with such a file is listed with its fault."""
    root = tmp_path / "models"
    outside = put_folder(tmp_path / "outside")
    put_folder(root / "m")
    (root / "link").symlink_to(outside)
    (root / "m/config.json").unlink()
    (root / "m/config.json").symlink_to(outside / "config.json")
    specs = catalog(root).scan()
    assert list(specs) == ["m"]
    assert specs["m"].fault == "config.json: a link that leads out of the folder"


def test_unchanged_folders_are_not_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second scan opens nothing; a change is seen."""
    folder = put_folder(tmp_path / "m")
    found = catalog(tmp_path)
    first = found.scan()
    inspect = hf_folder.inspect
    monkeypatch.setattr(hf_folder, "inspect", lambda *_, **__: pytest.fail("read again"))
    assert found.scan() == first
    monkeypatch.setattr(hf_folder, "inspect", inspect)
    (folder / "tokenizer.json").unlink()
    assert "no tokenizer" in (found.scan()["m"].fault or "")


def test_fake_engine_needs_no_file(tmp_path: Path) -> None:
    """A fake model comes from the settings alone."""
    spec = catalog(tmp_path, {"f": {"engine": "fake", "engine_args": {"answer": "x"}}}).scan()["f"]
    assert (spec.format, spec.engine, spec.path, spec.fault) == ("fake", "fake", "", None)
    assert spec.options.engine_args == {"answer": "x"}


# --- the Hugging Face cache -----------------------------------------------------------------------


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


# --- what the settings say ------------------------------------------------------------------------


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
