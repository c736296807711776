"""Whether a GGUF model will see: which mmproj file is with it, as llama.cpp's engine chooses."""

from __future__ import annotations

from pathlib import Path

import msgspec

from tricorn.engines.llamacpp import mmproj
from tricorn.errors import ModelLoadFailed
from tricorn.model_facts.facts import FileFacts


def with_eye(facts: FileFacts, path: Path, wanted: object) -> FileFacts:
    """The facts of the model in `path` together with its mmproj file, if it has one.

    wanted: its `engine_args.mmproj`.
    """
    try:
        eye = mmproj.find(path, wanted if isinstance(wanted, str) else None)
        size = eye.stat().st_size if eye is not None else None
    except (ModelLoadFailed, OSError):
        return facts  # the load will say why
    if size is None:
        return facts
    return msgspec.structs.replace(facts, vision=True, weight_bytes=facts.weight_bytes + size)
