"""MLX embedding text, with stand-ins for mlx and mlx-embeddings: numpy computes."""

from __future__ import annotations

import importlib.util
import json
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from tests.engines.mlx.stand_ins import imported, stand_in

from tricorn.engines.mlx import folder
from tricorn.engines.spec import EngineOptions, ModelSpec
from tricorn.errors import EngineGenerateError, ModelLoadFailed


class Network:
    """Makes a vector of what it is let to see: [sum of the ids, how many there are]."""

    def __init__(self) -> None:
        self.batches: list[tuple[int, ...]] = []
        """The shapes that it was given."""
        self.fault: Exception | None = None
        self.dtype: Any = None

    def __call__(self, ids: Any, attention_mask: Any) -> Any:
        if self.fault is not None:
            raise self.fault
        self.batches.append(ids.shape)
        seen = ids * attention_mask
        return SimpleNamespace(text_embeds=np.stack([seen.sum(1), attention_mask.sum(1)], 1))

    def set_dtype(self, dtype: Any) -> None:
        self.dtype = dtype


class Tokenizer:
    """In place of the tokenizers library's."""

    adds_bos = False
    vocabulary = SimpleNamespace(size=100)

    def __init__(self, files: folder.ModelFolder, *, trust_remote_code: bool) -> None:
        pass


@pytest.fixture
def network() -> Network:
    return Network()


@pytest.fixture
def embedding(monkeypatch: pytest.MonkeyPatch, network: Network) -> Any:
    """The module under test, imported over the stand-ins."""
    core: dict[str, Any] = {"array": np.array, "float32": np.float32, "float16": np.float16}
    core |= {"get_active_memory": lambda: 7, "clear_cache": lambda: None}
    stand_in(monkeypatch, "mlx.core", **core)
    stand_in(monkeypatch, "mlx", core=sys.modules["mlx.core"])
    stand_in(monkeypatch, "tricorn.engines.mlx.tokenizer", Tokenizer=Tokenizer)
    load = {"load_model": lambda path, path_to_repo: network}
    stand_in(monkeypatch, "mlx_embeddings.utils", **load)
    return imported(monkeypatch, "embedding")


def model(path: Path, *, sentences: bool = True, **config: Any) -> Path:
    """A folder; sentences: it says how vectors are made."""
    (path / "config.json").write_text(json.dumps({"model_type": "bert"} | config))
    (path / "model.safetensors").write_text("")
    if sentences:
        (path / "modules.json").write_text("[]")
    return path


def opened(embedding: Any, path: Path, **engine_args: Any) -> tuple[Any, Any]:
    """(the core, what it tells of its model)."""
    core = embedding.EmbeddingCore()
    options = EngineOptions(engine_args=engine_args)
    return core, core.open(ModelSpec("m", str(path), "hf", "mlx", "", 0, 0, options))


def test_texts_side_by_side_see_nothing_of_each_other(
    embedding: Any, network: Network, tmp_path: Path
) -> None:
    """In batches of equal lengths; the vectors come in the order of the texts."""
    core, loaded = opened(embedding, model(tmp_path, max_position_embeddings=64))
    assert (loaded.capabilities.embed, loaded.capabilities.generate) == (True, False)
    assert (loaded.context_length, loaded.dimensions, loaded.memory_bytes) == (64, 2, 7)
    prompts = [[n] * (1 + n % 7) for n in range(1, 41)]
    network.batches.clear()
    core.pooling.add("r", prompts)
    ((name, vectors),) = core.step()
    assert name == "r"
    assert vectors == [[sum(prompt), len(prompt)] for prompt in prompts]
    assert [rows for rows, _ in network.batches] == [16, 16, 8]
    widths = [width for _, width in network.batches]
    assert widths == sorted(widths)
    assert widths[0] < 7, "short ones are not filled up to the longest of all"


def test_what_goes_wrong_is_the_requests_own_error(
    embedding: Any, network: Network, tmp_path: Path
) -> None:
    """The engine goes on."""
    core, _ = opened(embedding, model(tmp_path))
    network.fault = RuntimeError("no room")
    core.pooling.add("r", [[1]])
    ((_, error),) = core.step()
    assert isinstance(error, EngineGenerateError)
    assert "no room" in error.message


def test_options_are_kept(embedding: Any, network: Network, tmp_path: Path) -> None:
    """The numbers that it computes with, and whether vectors may be shorter."""
    _, loaded = opened(embedding, model(tmp_path), dtype="float16", matryoshka=[1])
    assert network.dtype is np.float16
    assert loaded.shorter_dimensions == (1,)
    _, loaded = opened(embedding, tmp_path)
    assert loaded.shorter_dimensions is None


def test_a_model_that_cannot_be_loaded_says_why(
    embedding: Any, network: Network, tmp_path: Path
) -> None:
    """In the package's own words."""
    network.fault = ValueError("weights are missing")
    with pytest.raises(ModelLoadFailed, match=r"mlx cannot load .*: weights are missing"):
        opened(embedding, model(tmp_path))


@pytest.mark.parametrize(
    ("known", "sentences", "expected"),
    [
        ({"mlx_embeddings"}, False, True),
        ({"mlx_embeddings", "mlx_lm"}, True, True),
        ({"mlx_embeddings", "mlx_lm"}, False, False),
        ({"mlx_lm"}, True, False),
        ({"mlx_lm"}, False, False),
        (set(), False, False),
        (set(), True, "uv pip install --python .* mlx-embeddings"),
        ({"pip"}, True, "-m pip install mlx-embeddings"),
        ({"mlx_embeddings of old"}, True, "does not know models of type x-y"),
        ({"mlx_embeddings of old", "mlx_lm"}, True, False),
    ],
)
def test_which_models_are_for_it(
    embedding: Any,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    known: set[str],
    sentences: bool,
    expected: bool | str,
) -> None:
    """By who knows the architecture; else refused, with what mends it."""

    def find_spec(name: str) -> ModuleSpec | None:
        package, _, rest = name.partition(".")
        assert rest in ("", "models.x_y"), "model types have dashes, modules have none"
        if not known & {package, f"{package} of old"}:
            raise ModuleNotFoundError(package)
        return ModuleSpec(name, None) if not rest or package in known else None

    monkeypatch.setattr(importlib.util, "find_spec", find_spec)
    files = folder.read(model(tmp_path, sentences=sentences, model_type="x-y"))
    if isinstance(expected, str):
        with pytest.raises(ModelLoadFailed, match=expected):
            embedding.is_for(files)
    else:
        assert embedding.is_for(files) is expected
