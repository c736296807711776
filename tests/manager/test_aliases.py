"""Whose an alias is."""

from __future__ import annotations

from tricorn.engines.spec import Adapter, ModelSpec
from tricorn.manager.catalog.aliases import settled


def spec(name: str, *aliases: str, adapter: str | None = None) -> ModelSpec:
    adapters = () if adapter is None else (Adapter(adapter, "/a", 8, 1),)
    return ModelSpec(name, "", "fake", "fake", "a test", 0, 0, aliases=aliases, adapters=adapters)


def test_aliases_of_its_own() -> None:
    """Each once, and without its own id."""
    found = settled({"m": spec("m", "a", "b", "a", "m")}, ["m"])
    assert (found["m"].aliases, found["m"].warnings) == (("a", "b"), ())


def test_names_of_models_and_adapters_go_first() -> None:
    """Requests for those never mean an alias."""
    models = {"m": spec("m", "n", "n:lora"), "n": spec("n", adapter="lora")}
    found = settled(models, ["m"])
    assert found["m"].aliases == ()
    assert found["m"].warnings == (
        "the alias n of m does not count: n is a model already",
        "the alias n:lora of m does not count: it is an adapter of n already",
    )


def test_the_first_of_two_has_it() -> None:
    """In the order of the settings, not of the ids; a model that is gone has none."""
    models = {"a": spec("a", "x"), "b": spec("b", "x")}
    assert settled(models, ["b", "a", "gone"])["b"].aliases == ("x",)
    assert settled(models, ["b", "a"])["a"].aliases == ()
