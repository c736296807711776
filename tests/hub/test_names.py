"""Names of models on the hub."""

from __future__ import annotations

import pytest

from tricorn.errors import InvalidRequest
from tricorn.hub.names import Wanted, parse


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("org/name", Wanted("org/name")),
        ("  Qwen/Qwen3-4B-GGUF ", Wanted("Qwen/Qwen3-4B-GGUF")),
        ("org/name:Q4_K_M", Wanted("org/name", "Q4_K_M")),
        ("org/name:latest", Wanted("org/name")),
        ("org/name:file-Q8_0.gguf", Wanted("org/name", "file-Q8_0.gguf")),
        ("org/name:Q8_0/file.gguf", Wanted("org/name", "Q8_0/file.gguf")),
        ("org/name@main", Wanted("org/name")),
        ("org/name@v1.0", Wanted("org/name", None, "v1.0")),
        ("org/name@refs/pr/3:Q4_0", Wanted("org/name", "Q4_0", "refs/pr/3")),
        ("hf.co/org/name:Q4_K_M", Wanted("org/name", "Q4_K_M")),
        ("huggingface.co/org/name", Wanted("org/name")),
        ("https://huggingface.co/org/name/", Wanted("org/name")),
        ("https://huggingface.co/org/name/tree/main", Wanted("org/name")),
        ("https://HF.co/org/name/tree/abc", Wanted("org/name", None, "abc")),
        (
            "https://huggingface.co/org/name/blob/main/q/f.gguf",
            Wanted("org/name", "q/f.gguf"),
        ),
    ],
)
def test_names_that_mean_something(text: str, expected: Wanted) -> None:
    """Every way to name a repository, a revision and what of it; written one way."""
    assert parse(text) == expected
    assert parse(str(expected)) == expected


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            " ",
            "name",
            "a/b/c",
            "/org/name",
            "org/",
            "org//name",
            "../name",
            "org/..",
            "./name",
        ),
        *("org/na me", "org/na\nme", "org/na\x00me", "org/na\x1bme", "örg/name", "org/name:"),
        *("org/name:../../x.gguf", "org/name:/etc/x.gguf", "org/name:a//b.gguf", "org/name:a\\b"),
        *("org/name@", "org/name@../x", "org/name@a b", "-org/name", "org/.name", "or--g/name"),
        *("https://example.com/org/name", "file:///etc/passwd", "org/name/tree/main", "a" * 600),
        "C:\\models\\x.gguf",
    ],
)
def test_everything_else_is_refused(text: str) -> None:
    """A path out of the folder, characters that nobody sees, an address of something else."""
    with pytest.raises(InvalidRequest, match="no model of the hub") as caught:
        parse(text, param="model")
    assert caught.value.param == "model"
    assert caught.value.message.isprintable()
