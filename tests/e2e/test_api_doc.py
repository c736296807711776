"""The examples of docs/api.md, run as they stand."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator

import pytest
import yaml
from tests.conformance import pooling_models
from tests.conformance.engines import ENGINES
from tests.e2e.server import MODEL, PROJECT, Server, running

EXAMPLES = re.findall(
    r"^    (curl .*(?:\n      .*)*)", (PROJECT / "docs" / "api.md").read_text("utf-8"), re.MULTILINE
)
EMBEDDER = "minilm"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    path = pooling_models.gguf(pooling_models.minilm(ENGINES["llamacpp"].python), "mean")
    config = yaml.safe_dump({"models": {EMBEDDER: {"path": str(path)}}})
    with running(config=config, max_concurrent_models=2) as server:
        yield server


@pytest.mark.skipif(not (shutil.which("bash") and shutil.which("curl")), reason="needs bash, curl")
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda text: text.split()[1].strip('"'))
def test_example(server: Server, example: str) -> None:
    """Answers with 200 and a JSON object."""
    names = {"BASE": server.url, "MODEL": MODEL, "EMBEDDER": EMBEDDER}
    command = example.replace("curl", "curl -sS --fail-with-body", 1)
    done = subprocess.run(
        ["bash", "-c", command],
        env=os.environ | names,
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert isinstance(json.loads(done.stdout), dict)
