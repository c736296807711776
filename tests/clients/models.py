"""What the clients' server serves beside SmolLM2: scripted models, and one that makes vectors."""

from __future__ import annotations

import contextlib
import subprocess
from pathlib import Path
from typing import Any

import yaml
from tests.conformance import hf_model, pooling_models

PROJECT = Path(__file__).parents[2]
SCRIPTED = "scripted"
"""Says what the last message says: a test writes the call that it wants to get into the question,
and finds the tool's result in the answer."""
THINKER = "thinker"
EMBEDDER = "all-MiniLM-L6-v2"

SCRIPTED_TEMPLATE = (
    "{% if tools %}{{ tools | tojson }}\n{% endif %}"
    "{% for m in messages %}{{ m.role }}: {{ m.content }}"
    "{% for call in m.tool_calls or [] %}<tool_call>\n"
    '{"name": "{{ call.function.name }}", "arguments": {{ call.function.arguments | tojson }}}\n'
    "</tool_call>{% endfor %}{{ '\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}assistant: {% endif %}"
)
THINKER_TEMPLATE = SCRIPTED_TEMPLATE + (
    "{% if enable_thinking is defined and not enable_thinking %}<think>\n\n</think>{% endif %}"
)
THOUGHT = "<think>\nIt is a river.\n</think>\n\nThe Seine."


def config(vectors: Path | None) -> str:
    """A tricorn.yaml. vectors: the file of the model that makes them; None leaves it out."""
    models: dict[str, Any] = {
        SCRIPTED: _fake(constraints=True, echo=True, chat_template=SCRIPTED_TEMPLATE),
        THINKER: _fake(answer=THOUGHT, chat_template=THINKER_TEMPLATE),
    }
    if vectors is not None:
        models[EMBEDDER] = {"path": str(vectors), "engine_args": {"pooling_type": "mean"}}
    return yaml.safe_dump({"models": models})


def vectors_file() -> Path | None:
    """MiniLM's GGUF, made once by the environment of vLLM; None where it cannot be, as without a
    network."""
    made = hf_model.cache_folder() / f"{EMBEDDER}-f32.gguf"
    python = PROJECT / ".engines" / "vllm" / "bin" / "python"
    if not made.exists() and python.exists():
        with contextlib.suppress(subprocess.CalledProcessError):
            return pooling_models.gguf(pooling_models.minilm(python), "mean")
    return made if made.exists() else None


def _fake(**arguments: Any) -> dict[str, Any]:
    return {"engine": "fake", "context_length": 16384, "engine_args": arguments}
