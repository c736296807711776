"""The examples of docs/api.md and docs/managing.md, run as they stand."""

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

PAGES = ("api.md", "managing.md")
EXAMPLES = [
    example
    for page in PAGES
    for example in re.findall(
        r"^    (curl .*(?:\n      .*)*)", (PROJECT / "docs" / page).read_text("utf-8"), re.MULTILINE
    )
]
EMBEDDER = "minilm"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    path = pooling_models.gguf(pooling_models.minilm(ENGINES["llamacpp"].python), "mean")
    config = yaml.safe_dump({"models": {EMBEDDER: {"path": str(path)}}})
    with running(config=config, max_concurrent_models=3) as server:
        yield server


@pytest.mark.skipif(not (shutil.which("bash") and shutil.which("curl")), reason="needs bash, curl")
@pytest.mark.parametrize(
    "example", EXAMPLES, ids=lambda text: next(w for w in text.split() if "$BASE" in w).strip('"')
)
def test_example(server: Server, example: str) -> None:
    """Answers with a good status and a JSON object."""
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
