"""Where Tricorn is, or is to be: its folders and address, as far as they can be known.

Commands that must work before anything is installed take this instead of `Settings`. Standard
library only.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tricorn.settings.config import Settings

PROJECT = Path(__file__).resolve().parents[2]
"""The source folder; without `run.py` and `requirements/` where Tricorn is an installed package."""


@dataclass(frozen=True)
class Place:
    project: Path = PROJECT
    host: str = "127.0.0.1"
    port: int = 8000
    models_dir: Path = Path("models")
    data_dir: Path = Path("data")
    log_dir: Path = Path("logs")
    engines_dir: Path = Path(".engines")
    device: str = "auto"
    """DEVICE_TYPE."""
    settings: Settings | None = None
    """None where Tricorn's own packages are not installed yet, or the settings are wrong."""

    @property
    def command(self) -> str:
        """How the user calls Tricorn: what the commands that messages name begin with."""
        if not (self.project / "run.py").is_file():
            return "tricorn"
        return "python run.py" if os.name == "nt" else "python3 run.py"

    @property
    def start(self) -> str:
        """What the user starts the server with."""
        return "tricorn serve" if self.command == "tricorn" else self.command


def from_settings(settings: Settings, project: Path = PROJECT) -> Place:
    """A place with these settings."""
    return Place(
        project=project,
        host=settings.host,
        port=settings.port,
        models_dir=settings.model_base_path,
        data_dir=settings.data_dir,
        log_dir=settings.log_dir,
        engines_dir=settings.engines_dir,
        device=settings.device_type,
        settings=settings,
    )


def from_environment(environ: Mapping[str, str], project: Path = PROJECT) -> Place:
    """A place as far as the environment's variables tell; the defaults for the rest."""
    number = environ.get("PORT", "")
    return Place(
        project=project,
        host=environ.get("HOST") or Place.host,
        port=int(number) if number.isdecimal() else Place.port,
        models_dir=Path(environ.get("MODEL_BASE_PATH") or Place.models_dir),
        data_dir=Path(environ.get("DATA_DIR") or Place.data_dir),
        log_dir=Path(environ.get("LOG_DIR") or Place.log_dir),
        engines_dir=Path(environ.get("ENGINES_DIR") or Place.engines_dir),
        device=environ.get("DEVICE_TYPE") or Place.device,
    )
