"""Which engines there are. Importing this imports no engine; `create` imports the one asked for."""

from __future__ import annotations

import importlib

from tricorn.engines.base import InferenceEngine
from tricorn.errors import ModelLoadFailed

ENGINES: dict[str, str] = {
    "llamacpp": "tricorn.engines.llamacpp.cores:create",
    "vllm": "tricorn.engines.vllm.engine:create",
    "mlx": "tricorn.engines.mlx.engine:create",
    "fake": "tricorn.engines.fake:create",
}
"""Name → `module:factory`. A new engine is one module and one line here."""


def create(name: str) -> InferenceEngine:
    """A new, unloaded engine. ModelLoadFailed where its packages are missing or unknown."""
    if name not in ENGINES:
        raise ModelLoadFailed(f"there is no engine {name!r}; there are: {', '.join(ENGINES)}")
    module_name, factory = ENGINES[name].split(":")
    try:
        module = importlib.import_module(module_name)
        engine: InferenceEngine = getattr(module, factory)()
    except ImportError as error:
        raise ModelLoadFailed(f"the engine {name} is not installed here: {error}") from error
    return engine
