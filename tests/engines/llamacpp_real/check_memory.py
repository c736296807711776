"""What llama.cpp takes of memory, against what was estimated. Run by `test_llamacpp_real.py`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tricorn.engines.llamacpp import footprint
from tricorn.engines.spec import EngineOptions, ModelSpec
from tricorn.model_facts import gguf
from tricorn.model_facts.estimate import Estimate, Memory

ROOT = Path(__file__).parents[3]
MODEL = ROOT / "models" / "SmolLM2-135M-Instruct.Q4_1.gguf"
TELL = """
import asyncio, sys
sys.path[:0] = ["src", *sys.argv[2:]]
import msgspec
from tricorn.engines import registry
from tricorn.engines.request import GenerateRequest, SamplingParams
from tricorn.engines.spec import ModelSpec
from tricorn.engines.llamacpp.loaded import resident_bytes

async def main():
    engine = registry.create("llamacpp")
    loaded = await engine.load(msgspec.json.decode(sys.argv[1], type=ModelSpec))
    request = GenerateRequest("r", list(range(1000, 1600)), SamplingParams(max_tokens=2))
    async for _ in engine.generate(request):
        pass
    print(loaded.context_length, loaded.details["kv_tokens"], resident_bytes())

asyncio.run(main())
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy: what another process has open too would count in part only."""
    if not sys.platform.startswith("linux"):
        pytest.skip("only Linux tells a process's proportional set size")
    copy: Path = tmp_path_factory.mktemp("model") / MODEL.name
    shutil.copyfile(MODEL, copy)
    return copy


def measured(spec: ModelSpec) -> list[int]:
    """[context, cells of the cache, bytes], in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", TELL, msgspec.json.encode(spec).decode()],
        cwd=ROOT,
        env=os.environ | {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [int(word) for word in done.stdout.split()[-3:]]


@pytest.mark.parametrize(
    ("context", "args"), [(1024, {"kv_tokens": 1024}), (8192, {"kv_tokens": 16384})]
)
def test_the_estimate_is_about_right(model: Path, context: int, args: dict[str, Any]) -> None:
    """Within a quarter of what is measured after a prompt, with small caches and large ones."""
    options = EngineOptions(
        context_length=context, max_num_seqs=4, threads=1, engine_args={"cache_ram": 0, **args}
    )
    spec = ModelSpec("m", str(model), "gguf", "llamacpp", "", 0, 0, options, device="cpu")
    facts = gguf.inspect(model).facts
    estimate = footprint.estimate(facts, options, device="cpu", memory=Memory())
    assert isinstance(estimate, Estimate)
    loaded_context, cells, taken = measured(spec)
    assert (loaded_context, cells) == (estimate.context_length, args["kv_tokens"])
    assert 0.75 * taken < estimate.total < 1.25 * taken


def test_what_it_may_count_on(model: Path) -> None:
    """The cache is sized by what the manager says, not by what is free; so it can be estimated."""
    options = EngineOptions(max_num_seqs=4, threads=1, memory=256 << 20)
    spec = ModelSpec("m", str(model), "gguf", "llamacpp", "", 0, 0, options, device="cpu")
    facts = gguf.inspect(model).facts
    estimate = footprint.estimate(facts, options, device="cpu", memory=Memory(options.memory))
    assert isinstance(estimate, Estimate)
    context, cells, taken = measured(spec)
    assert context == estimate.context_length < 8192
    assert cells * 30 * 2 * 192 * 2 == estimate.kv_cache
    assert 0.75 * taken < estimate.total < 1.25 * taken
