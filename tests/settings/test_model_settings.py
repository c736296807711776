"""What is said of one model, and of all of them."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from tricorn.engines.spec import Binding, EngineOptions
from tricorn.settings.model_settings import ModelDefaults, ModelSettings, numbers


def settings(**given: Any) -> ModelSettings:
    return ModelSettings.model_validate(given)


def defaults(**given: Any) -> ModelDefaults:
    return ModelDefaults.model_validate(given)


def test_numbers_as_people_write_them() -> None:
    """Lists stay; a text is ranges and single ones."""
    assert numbers([1, 2]) == [1, 2]
    assert numbers("0-3, 8") == [0, 1, 2, 3, 8]
    for wrong in ("a", "1-", "3-1", "0-99999999", ""):
        with pytest.raises(ValueError, match="number"):
            numbers(wrong)


def test_where_its_processes_run() -> None:
    """Cores in order, each once."""
    assert settings(cpus="3,1-2,2", gpus=[0], env={"A": "b"}).binding() == Binding(
        env={"A": "b"}, gpus=(0,), cpus=(1, 2, 3)
    )
    assert settings().binding() == Binding()


@pytest.mark.parametrize(
    "given",
    [
        {"cpus": [0], "numa_node": 0},
        {"cpus": []},
        {"gpus": [0], "env": {"CUDA_VISIBLE_DEVICES": "1"}},
        {"gpus": [-1]},
        {"env": {"A=B": "c"}},
        {"env": {"A": "b\0c"}},
    ],
)
def test_bindings_that_exclude_each_other(given: dict[str, Any]) -> None:
    """Or that no process can have."""
    with pytest.raises(ValidationError):
        settings(**given)


def test_its_own_settings_go_before_the_defaults() -> None:
    """Also where they say what is the default of all; what it does not say comes from them."""
    found = settings(pinned=False, threads=1).over(defaults(pinned=True, threads=2, replicas=3))
    assert (found.pinned, found.threads, found.replicas) == (False, 1, 3)


def test_its_own_cores_go_before_a_default_of_the_other_kind() -> None:
    """They would exclude each other."""
    assert settings(cpus=[0]).over(defaults(numa_node=1)).binding() == Binding(cpus=(0,))
    assert settings(numa_node=1).over(defaults(cpus=[0])).binding() == Binding(numa_node=1)


def test_caching_of_one_model() -> None:
    """Its own word goes before the server's, in both directions."""
    off = EngineOptions(prefix_cache=False, cache_size=3)
    assert settings(enable_caching=True).options(off).prefix_cache is True
    assert settings(enable_caching=False).options(EngineOptions()).prefix_cache is False
    assert settings(cache_size=7).options(off).cache_size == 7
    kept = settings().options(off)
    assert (kept.prefix_cache, kept.cache_size) == (False, 3)
