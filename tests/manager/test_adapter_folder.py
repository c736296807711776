"""Tests of `tricorn.manager.catalog.adapter_folder`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from tests.manager.model_folders import WEIGHT, put_adapter, put_folder, safetensors

from tricorn.manager.catalog import hf_folder
from tricorn.manager.catalog.adapter_folder import (
    CONFIG,
    WEIGHTS,
    AdapterFolder,
    inspect,
    is_adapter,
)


def inspected(folder: Path, within: Path | None = None) -> AdapterFolder:
    return inspect(folder, hf_folder.list_files(folder), within=within)


def test_what_an_adapter_says(tmp_path: Path) -> None:
    """Its base, its rank, the size of its weights and no fault."""
    found = inspected(put_adapter(tmp_path / "a", base="org/m", rank=16))
    assert (found.base, found.rank, found.size, found.fault) == ("org/m", 16, WEIGHT, None)
    assert found.mtime_ns > 0


def test_the_largest_rank_counts(tmp_path: Path) -> None:
    """Layers may have ranks of their own."""
    patterns = {"q_proj": 64, "v_proj": 4}
    assert inspected(put_adapter(tmp_path, rank=8, rank_pattern=patterns)).rank == 64


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ({"weights": None}, "it has no adapter_model.safetensors"),
        ({"weights": "adapter_model.bin"}, "PyTorch's own format"),
        ({"peft_type": "PREFIX_TUNING"}, "no LoRA adapter: its peft_type is PREFIX_TUNING"),
        ({"peft_type": None}, "no LoRA adapter"),
        ({"rank": None}, "gives no rank"),
        ({"rank": 0}, "gives no rank"),
        ({"rank": "8"}, "gives no rank"),
        ({"rank_pattern": {"q_proj": "x"}}, "gives no rank"),
    ],
)
def test_faults(tmp_path: Path, given: dict[str, Any], fault: str) -> None:
    """What makes it of no use is said."""
    assert fault in (inspected(put_adapter(tmp_path, **given)).fault or "")


@pytest.mark.parametrize("text", ["{", "[]", ""])
def test_unreadable_configuration(tmp_path: Path, text: str) -> None:
    """JSON that is none, or no object."""
    folder = put_adapter(tmp_path)
    (folder / CONFIG).write_text(text)
    assert CONFIG in (inspected(folder).fault or "")


def test_weights_that_are_cut_off(tmp_path: Path) -> None:
    """Seen by their first bytes."""
    folder = put_adapter(tmp_path)
    (folder / WEIGHTS).write_bytes(safetensors()[:5])
    assert "cut off" in (inspected(folder).fault or "")


def test_the_version_follows_the_files_that_count(tmp_path: Path) -> None:
    """Also where an older file takes the place of a newer one; a README changes nothing."""
    folder = put_adapter(tmp_path)
    first = inspected(folder).version
    (folder / "README.md").write_text("trained")
    assert inspected(folder).version == first
    os.utime(folder / WEIGHTS, (1, 1))
    assert inspected(folder).version != first


def test_a_model_with_an_adapter_beside_it_is_a_model(tmp_path: Path) -> None:
    """But an adapter with its model's configuration beside it is an adapter."""
    both = put_folder(put_adapter(tmp_path / "both"))
    assert not is_adapter(hf_folder.list_files(both))
    adapter = put_adapter(tmp_path / "adapter")
    (adapter / "config.json").write_text("{}")
    assert is_adapter(hf_folder.list_files(adapter))
    assert not hf_folder.is_model(hf_folder.list_files(adapter))


@pytest.mark.skipif(os.name != "posix", reason="needs symbolic links")
def test_files_that_lead_out(tmp_path: Path) -> None:
    """Refused below a root, followed elsewhere."""
    folder = put_adapter(tmp_path / "models" / "a")
    (folder / WEIGHTS).rename(tmp_path / "blob")
    (folder / WEIGHTS).symlink_to(tmp_path / "blob")
    fault = inspected(folder, tmp_path / "models").fault
    assert fault == f"{WEIGHTS}: a link that leads out of the folder"
    assert inspected(folder).fault is None
