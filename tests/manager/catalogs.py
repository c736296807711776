"""Catalogs over folders that a test fills, on a Linux machine without a GPU."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

from tests.model_facts.gguf_files import gguf as gguf_file

from tricorn.hardware.choice import choose_engine
from tricorn.hardware.facts import Facts
from tricorn.manager.catalog.catalog import Catalog
from tricorn.settings.config import ModelSettings, Settings

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
