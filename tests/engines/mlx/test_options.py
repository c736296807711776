"""The MLX engine's start-up options."""

from __future__ import annotations

from typing import Any

import pytest

from tricorn.engines.mlx.options import parse
from tricorn.engines.spec import EngineOptions
from tricorn.errors import ModelLoadFailed


def test_engine_args_are_taken_over() -> None:
    """Each under its own name; the rest is left to the machine."""
    options = parse(EngineOptions(engine_args={"dtype": "float32", "prompt_cache": 0}))
    assert (options.dtype, options.prompt_cache, options.memory_limit) == ("float32", 0, None)


def test_an_unknown_option_names_the_nearest() -> None:
    """A typing error does not load a model that is not as configured."""
    with pytest.raises(ModelLoadFailed, match=r"'memory_limt' here; did you mean memory_limit\?"):
        parse(EngineOptions(engine_args={"memory_limt": 1}))
    with pytest.raises(ModelLoadFailed, match=r"'zzzz' here$"):
        parse(EngineOptions(engine_args={"zzzz": 1}))


@pytest.mark.parametrize(
    "wrong",
    [{"dtype": "int8"}, {"prefill_step_size": 0}, {"cache_limit": -1}, {"prompt_cache": "1"}],
)
def test_a_value_that_cannot_be_is_refused(wrong: dict[str, Any]) -> None:
    """With its name."""
    with pytest.raises(ModelLoadFailed, match=rf"engine_args: .*{next(iter(wrong))}"):
        parse(EngineOptions(engine_args=wrong))
