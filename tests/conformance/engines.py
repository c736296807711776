"""The engines that the suite runs against, each with its model and how it is made."""

from __future__ import annotations

import platform
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import yaml
from tests.conformance import hf_model, pooling_models, tiny_model

PROJECT = Path(__file__).parents[2]
MODELS = PROJECT / "models"
GGUF = MODELS / hf_model.GGUF
CONTEXT = 1024
THINKING = Path(__file__).parent / "thinking.jinja"
"""SmolLM2's own chat template, which on demand begins the answer with a thought."""
PLACES = 4
"""Sequences at the same time: fewer than the suite's busiest test asks for."""


@dataclass(frozen=True)
class Engine:
    """name: the registry's; folder: of its environment; model: makes the model, gives its path.

    exact: makes a model that computes in float32, where `model` does not; served as NAME-exact.
    quantised: makes one with quantised weights, served as NAME-quantised.
    smollm2: makes SmolLM2, where `model` is another one; served as NAME-smollm2.
    takes_adapters: LoRA adapters.
    """

    name: str
    folder: str
    model: Callable[[Engine], Path]
    start_s: float
    engine_args: tuple[tuple[str, object], ...] = ()
    exact: Callable[[Engine], Path] | None = None
    exact_args: tuple[tuple[str, object], ...] = ()
    quantised: Callable[[Engine], Path] | None = None
    smollm2: Callable[[Engine], Path] | None = None
    takes_adapters: bool = False

    @property
    def python(self) -> Path:
        return PROJECT / ".engines" / self.folder / "bin" / "python"

    def missing(self) -> str | None:
        """Why it can't be tested on this machine; None where it can."""
        if not self.python.exists():
            return f"{self.name} is not installed on {sys.platform} {platform.machine()}"
        return None

    @property
    def exact_name(self) -> str:
        return f"{self.name}-exact" if self.exact else self.name

    @property
    def smollm2_name(self) -> str | None:
        """None where it cannot be made: that takes vLLM's environment."""
        if self.smollm2 is None:
            return self.name
        return f"{self.name}-smollm2" if ENGINES["vllm"].missing() is None else None

    @property
    def pools(self) -> list[str]:
        """What it can beside generating: embed, served as NAME-embed, and rank, as NAME-rank."""
        return pooling_models.abilities(self.name, self.python)

    def config(self) -> str:
        """A tricorn.yaml that serves its models."""
        entries = {self.name: self._entry(self.model(self), self.engine_args)}
        entries[self.name]["chat_template"] = str(THINKING)
        if self.exact is not None:
            entries[self.exact_name] = self._entry(self.exact(self), self.exact_args)
        if self.quantised is not None:
            entries[f"{self.name}-quantised"] = self._entry(self.quantised(self), self.engine_args)
        if self.smollm2 is not None and self.smollm2_name is not None:
            entries[self.smollm2_name] = self._entry(self.smollm2(self), self.engine_args)
        entries |= pooling_models.entries(
            self.name, self.pools, ENGINES["vllm"].python, dict(self.engine_args)
        )
        return yaml.safe_dump({"models": entries})

    def _entry(self, path: Path, arguments: tuple[tuple[str, object], ...]) -> dict[str, object]:
        return {
            "path": str(path),
            "engine": self.name,
            "context_length": CONTEXT,
            "max_num_seqs": PLACES,
            "engine_args": dict(arguments),
        }


def _gguf(_engine: Engine) -> Path:
    return GGUF


def _smollm2(_engine: Engine) -> Path:
    return hf_model.smollm2(ENGINES["vllm"].python, MODELS)


def _tiny(_engine: Engine) -> Path:
    folder = hf_model.cache_folder() / f"tiny-{tiny_model.SEED}"
    return folder if folder.is_dir() else tiny_model.make(GGUF, folder)


def _quantised_tiny(engine: Engine) -> Path:
    """By mlx-lm's own converter; 8 bits, so that it still says nearly the same."""
    plain = _tiny(engine)
    folder = plain.with_name(f"{plain.name}-8bit")
    if not folder.is_dir():
        command = [str(engine.python), "-m", "mlx_lm", "convert", "--hf-path", str(plain)]
        command += ["--mlx-path", str(folder), "-q", "--q-bits", "8", "--q-group-size", "32"]
        subprocess.run(command, check=True, capture_output=True)
    return folder


def _float_gguf(engine: Engine) -> Path:
    """SmolLM2 with float32 weights: quantised ones are multiplied in 8 bits, too coarsely to be
    compared with a reference."""
    return quantised_anew(engine.python, "ALL_F32", "f32")


def quantised_anew(python: Path, file_type: str, name: str) -> Path:
    """SmolLM2 as another GGUF file, by llama.cpp; made once and kept.

    python: of llama.cpp's environment. file_type: as in `LLAMA_FTYPE_…`. name: ends the file's.
    """
    target = hf_model.cache_folder() / f"SmolLM2-135M-Instruct-{name}.gguf"
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_suffix(".partial")
        command = [str(python), "-c", _QUANTISE, str(GGUF), str(partial), file_type]
        subprocess.run(command, check=True)
        partial.rename(target)
    return target


_QUANTISE = """
import sys, llama_cpp
params = llama_cpp.llama_model_quantize_default_params()
params.ftype = getattr(llama_cpp, "LLAMA_FTYPE_" + sys.argv[3])
params.allow_requantize = True
source, target = (path.encode() for path in sys.argv[1:3])
sys.exit(llama_cpp.llama_model_quantize(source, target, params))
"""

ENGINES = {
    engine.name: engine
    for engine in (
        Engine(
            "llamacpp",
            "llama_cpp",
            _gguf,
            start_s=60,
            exact=_float_gguf,
            exact_args=(("type_k", "f32"), ("type_v", "f32"), ("flash_attn", "off")),
            quantised=_gguf,
        ),
        Engine(
            "vllm",
            "vllm",
            _smollm2,
            start_s=240,
            takes_adapters=True,
            engine_args=(
                ("dtype", "float32"),
                ("enforce_eager", True),
                # A mapping that vLLM itself makes no configuration of.
                ("logging_config", {"log_level": "WARNING"}),
                # Taken from the template where that has thoughts.
                (
                    "reasoning_config",
                    {"reasoning_start_str": "<repo_name>", "reasoning_end_str": "<file_sep>"},
                ),
            ),
        ),
        Engine(
            "mlx",
            "mlx",
            _tiny,
            start_s=90,
            engine_args=(("memory_limit", 2048),),
            quantised=_quantised_tiny,
            smollm2=_smollm2,
        ),
    )
}
