"""The folders that requests may name files in: MODEL_BASE_PATH and ALLOWED_MODEL_PATHS."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path, PureWindowsPath
from typing import Any

from tricorn.errors import InvalidRequest, NotAllowed
from tricorn.manager.catalog import gguf_names
from tricorn.manager.catalog.model_files import is_inside
from tricorn.settings.config import Settings

MAX_FILES = 10_000
"""More than that in one folder are no model."""


class Roots:
    """base: what relative paths are relative to, and the first root."""

    def __init__(self, base: Path, others: Sequence[str]) -> None:
        self._base = base.resolve()
        self._roots = (self._base, *(Path(path).expanduser().resolve() for path in others))

    @classmethod
    def of(cls, settings: Settings) -> Roots:
        return cls(settings.model_base_path, settings.allowed_model_paths)

    def model(self, text: str, *, param: str) -> Path:
        """The path of a model's file or folder, resolved.

        NotAllowed where it, or a file that belongs to it, lies outside, its links followed;
        InvalidRequest where there is nothing.
        """
        path = self._inside(text, param)
        if not path.exists():
            raise InvalidRequest(
                f"Invalid value for '{param}': there is no file or folder {path}.", param=param
            )
        for part in _files(path):
            if not self._holds(part):
                raise NotAllowed(
                    f"'{param}': {part.name} is a link out of the folders that models may be "
                    "loaded from (MODEL_BASE_PATH, ALLOWED_MODEL_PATHS).",
                    param=param,
                )
        return path

    def check_arguments(self, arguments: Any, *, param: str) -> None:
        """An engine's own parameters name files too: absolute paths, and those that go up."""
        if isinstance(arguments, dict):
            for name, value in arguments.items():
                self.check_arguments(value, param=f"{param}.{name}")
        elif isinstance(arguments, list):
            for position, value in enumerate(arguments):
                self.check_arguments(value, param=f"{param}[{position}]")
        elif isinstance(arguments, str) and _is_path(arguments):
            self._inside(arguments, param)

    def _inside(self, text: str, param: str) -> Path:
        if not text.strip() or not text.isprintable():
            raise InvalidRequest(
                f"Invalid value for '{param}': it is empty or has control characters.", param=param
            )
        try:
            path = (self._base / text).resolve()
        except (OSError, RuntimeError, ValueError) as error:
            raise InvalidRequest(
                f"Invalid value for '{param}': it is no usable path ({error}).", param=param
            ) from error
        if not self._holds(path):
            raise NotAllowed(
                f"'{param}' lies outside the folders that models may be loaded from: "
                f"{', '.join(str(root) for root in self._roots)}. ALLOWED_MODEL_PATHS adds others.",
                param=param,
            )
        return path

    def _holds(self, path: Path) -> bool:
        return any(is_inside(path, root) for root in self._roots)


def _files(path: Path) -> Iterator[Path]:
    """What a load of it would read."""
    if not path.is_dir():
        yield from (part for part in gguf_names.parts(path) if part.exists())
        return
    for count, file in enumerate(path.rglob("*")):
        if count >= MAX_FILES:
            raise NotAllowed(f"{path.name} has more than {MAX_FILES} files.", param="model_path")
        yield file


def _is_path(text: str) -> bool:
    if "\n" in text or "{" in text:
        return False  # a template, or JSON
    parts = PureWindowsPath(text).parts  # knows both kinds of slashes
    return (
        text.startswith(("/", "\\", "~/")) or ".." in parts or PureWindowsPath(text).is_absolute()
    )
