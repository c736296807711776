"""Reading the settings: flags over environment over `.env` over `tricorn.yaml` over the defaults.

Names nobody knows are refused in `.env` and `tricorn.yaml`; the environment itself is full of other
programs' names.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsError,
)

from tricorn.errors import StartupError
from tricorn.file_stamps import Stamps, stamps
from tricorn.settings import file as settings_file
from tricorn.settings.config import Settings
from tricorn.settings.faults import explained

SOURCES = ("flag", "environment", ".env", "tricorn.yaml")
"""Where a setting may come from; those that stand first win."""


@dataclass(frozen=True)
class Loaded:
    settings: Settings
    origins: dict[str, list[str]]
    """Name → those of SOURCES that give it, the one that counts first."""
    files: Stamps
    """`.env` and tricorn.yaml as they were before they were read: their change is one of these."""


class _Given(Settings):
    """Without any source but what it is made from."""

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[BaseSettings], *sources: Any, **more: Any
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        init: PydanticBaseSettingsSource = more["init_settings"]
        return (init,)


def from_json(text: str) -> Settings:
    """Settings that `model_dump_json` wrote, whatever else the environment says by now. ValueError
    where they are no such."""
    return _Given(**json.loads(text))


def load_settings(
    flags: dict[str, Any] | None = None,
    *,
    config_file: Path | None = None,
    directory: Path | None = None,
) -> Settings:
    """Read every source once. StartupError says which name is wrong, where, and the nearest known.

    flags: field name → value, those that were given.
    config_file: `tricorn.yaml`; None: the one in `directory`, if there.
    directory: where `.env` and `tricorn.yaml` are looked for; None: the current one.
    """
    return load(flags, config_file=config_file, directory=directory).settings


def load(
    flags: dict[str, Any] | None = None,
    *,
    config_file: Path | None = None,
    directory: Path | None = None,
) -> Loaded:
    """As `load_settings`, and where each setting comes from."""
    directory = directory or Path.cwd()
    yaml_file = config_file or directory / "tricorn.yaml"
    if config_file is not None and not config_file.is_file():
        raise StartupError(f"there is no configuration file {config_file}")
    files = stamps((directory / ".env", yaml_file))
    said = settings_file.read(yaml_file) if yaml_file.is_file() else settings_file.Flat()
    used: list[PydanticBaseSettingsSource] = []

    class FromAll(Settings):
        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            in_file = InitSettingsSource(settings_cls, init_kwargs=said.values)
            used[:] = [init_settings, env_settings, dotenv_settings, in_file]
            return tuple(used)

    problems = list(said.problems)
    try:
        settings = FromAll(_env_file=directory / ".env", **(flags or {}))  # type: ignore[call-arg]
    except ValidationError as error:
        problems = [*explained(error, Settings.model_fields), *problems]
    except SettingsError as error:
        problems = [str(error), *problems]
    except ValueError as error:  # of a .env that is no text
        raise StartupError(f"{directory / '.env'} cannot be read: {error}") from error
    if problems:
        raise StartupError("the settings cannot be used:\n  " + "\n  ".join(problems))
    origins: dict[str, list[str]] = {}
    for source, values in zip(SOURCES, [source() for source in used], strict=True):
        for name in values:
            origins.setdefault(name, []).append(source)
    return Loaded(settings, origins, files)
