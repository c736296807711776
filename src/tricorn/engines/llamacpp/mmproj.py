"""Which mmproj file is a model's eye. Pure: names of files decide."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from tricorn.errors import ModelLoadFailed

MARK = "mmproj"

_PRECISION = re.compile(r"[-._](ud-)?(i?q\d\w*|t?q\d\w*|b?f(p)?(8|16|32)|mxfp4)$", re.IGNORECASE)
_SPLIT = re.compile(r"-\d{5}-of-\d{5}$")


def find(model: Path, wanted: str | None) -> Path | None:
    """The model's mmproj file, or None. ModelLoadFailed where the one named is not there, or where
    several would do.

    wanted: `engine_args.mmproj`: a path, relative ones from the model's folder; empty for none.
    """
    if wanted is not None:
        named = model.parent / wanted
        if wanted and not named.is_file():
            raise ModelLoadFailed(f"engine_args.mmproj: there is no file {named}")
        return named if wanted else None
    found = choose(model.name, [file.name for file in model.parent.glob("*.gguf")])
    if len(found) > 1:
        raise ModelLoadFailed(
            f"several files could be the eye of {model.name}: {', '.join(found)}; name one in "
            "engine_args: {mmproj: …}"
        )
    return model.parent / found[0] if found else None


def choose(model: str, names: Iterable[str]) -> list[str]:
    """Of the GGUF files beside a model, those that are its mmproj by their names; where the folder
    has no other model, any of them is."""
    eyes = sorted(name for name in names if MARK in name.lower())
    others = {_name(name) for name in names if MARK not in name.lower()}
    if others == {_name(model)}:
        return eyes
    return [eye for eye in eyes if _name(eye) == _name(model)]


def _name(file: str) -> str:
    """A file's model: without mmproj, precision and part numbers."""
    stem = _SPLIT.sub("", file.lower().removesuffix(".gguf"))
    stem = stem.replace(f"{MARK}-", "").replace(f"-{MARK}", "").replace(f".{MARK}", "")
    return _PRECISION.sub("", stem)
