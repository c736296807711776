"""Which names a model may be given."""

from __future__ import annotations

import pytest

from tricorn.model_names import checked, hub_id


@pytest.mark.parametrize("name", ["m", "org/name:Q4_K_M", "a.b", "gpt 4", "..m", "ünï", "m@1"])
def test_names_that_are_fine(name: str) -> None:
    """Slashes, colons and spaces between are no harm."""
    assert checked(name) == name


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("", "empty"),
        (" m", "space"),
        ("/etc/passwd", "begin with a slash"),
        ("\\m", "begin with a slash"),
        ("a/../b", "'..'"),
        ("..", "'..'"),
        ("a\\..\\b", "'..'"),
        ("a\nb", "control characters"),
        ("a\x1bb", "control characters"),
        ("a\u202eb", "control characters"),
        ("m" * 500, "at most"),
    ],
)
def test_names_that_are_refused(name: str, why: str) -> None:
    """They lead out of a folder, or cannot be seen."""
    with pytest.raises(ValueError, match=why):
        checked(name)


@pytest.mark.parametrize("name", ["org/name", "org/name.v1:Q4_K_M"])
def test_hub_ids(name: str) -> None:
    """With or without a quantisation."""
    assert hub_id(name) == name


@pytest.mark.parametrize(
    "name", ["name", "a/b/c", "org/na me", "org/name:", "org/..", "https://x/y"]
)
def test_what_is_no_hub_id(name: str) -> None:
    """Told with how one looks, or what is wrong with it."""
    with pytest.raises(ValueError, match="must"):
        hub_id(name)
