"""A token from a real engine worker, with the fake engine in it."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from tricorn.doctor.generation import Trial, one_token
from tricorn.engines.spec import EngineOptions, ModelSpec
from tricorn.errors import TricornError

pytestmark = pytest.mark.skipif(os.name != "posix", reason="engine workers need posix")


def tried(python: str = sys.executable, timeout_s: float = 30.0, **engine_args: Any) -> Trial:
    options = EngineOptions(engine_args=engine_args)
    spec = ModelSpec("m", "", "fake", "fake", "a test", 0, 0, options)
    return asyncio.run(one_token(spec, Path(python), timeout_s))


def test_one_token_is_generated() -> None:
    """Greedily, and no more than one."""
    trial = tried(answer="yes")
    assert trial.answer == "a token ('y')"
    assert trial.seconds > 0


@pytest.mark.parametrize(("pooling", "answer"), [("embed", "a vector"), ("score", "a score")])
def test_a_model_that_pools_proves_its_engine_too(pooling: str, answer: str) -> None:
    """It is asked for what it can."""
    assert tried(pooling=pooling).answer == answer


def test_a_failed_load_is_told() -> None:
    """In the engine's own words."""
    with pytest.raises(TricornError, match="the weights are torn"):
        tried(load_error="the weights are torn")


def test_a_crash_is_told() -> None:
    """A process that dies gives no token."""
    with pytest.raises(TricornError):
        tried(crash_at_token=1)


def test_last_words_are_told(tmp_path: Path) -> None:
    """Of a worker that ends before it has said anything to its manager."""
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho 'libgomp.so.1 is missing' >&2\nexit 1\n")
    python.chmod(0o755)
    with pytest.raises(TricornError, match=r"libgomp\.so\.1 is missing"):
        tried(str(python))


def test_a_python_that_is_gone_is_told(tmp_path: Path) -> None:
    """Without a traceback."""
    with pytest.raises(TricornError, match="cannot be started"):
        tried(str(tmp_path / "none"))


def test_a_hanging_engine_is_given_up() -> None:
    """And its process is ended."""
    with pytest.raises(TricornError, match="no token within 0 seconds"):
        tried(timeout_s=0.01)
