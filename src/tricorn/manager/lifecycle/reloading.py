"""Taking over changed settings without a restart: when asked to, and when their files change."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tricorn import logs
from tricorn.errors import StartupError
from tricorn.file_stamps import Stamps, stamps
from tricorn.manager.lifecycle.settings_changes import LIVE, compare
from tricorn.settings.config import Settings
from tricorn.settings.loading import Loaded

ReadSettings = Callable[[], Loaded]
"""Reads every source again, flags included; StartupError."""

log = logs.get("settings")


class Reloading:
    """apply: takes over settings, of which the named ones have changed; StartupError where it does
    not, having changed nothing.

    read: None where the settings have no sources.
    files: those that were read, as they were before that.
    """

    def __init__(
        self,
        settings: Settings,
        read: ReadSettings | None,
        apply: Callable[[Settings, list[str]], None],
        files: Stamps,
    ) -> None:
        self._settings = settings
        self._read = read
        self._apply = apply
        self._seen = dict(files)

    def reload(self, live: frozenset[str] = LIVE) -> dict[str, Any]:
        """Settings' names: what `changed`, what `needs_restart` to count; and `errors`, sentences.
        Where there are some, nothing has changed.

        live: those that can change now.
        """
        self._seen = stamps(self._seen)
        if self._read is None:
            return {"changed": [], "needs_restart": [], "errors": []}
        try:
            loaded = self._read()
            found = compare(self._settings, loaded.settings, live)
            if found.changed:
                self._apply(found.settings, found.changed)
        except StartupError as error:
            log.error("the settings were read again and cannot be used", error=error.message)
            return {"changed": [], "needs_restart": [], "errors": [error.message]}
        self._settings = found.settings
        told = {"changed": found.changed, "needs_restart": found.needs_restart}
        log.info("the settings were read again", **told)
        return told | {"errors": []}

    def put_back(self, before: Settings, names: frozenset[str]) -> None:
        """These hold again as they were."""
        found = compare(self._settings, before, names)
        if found.changed:
            self._apply(found.settings, found.changed)
            self._settings = found.settings

    def look(self) -> None:
        """Reload if one of the files has changed since it was last read."""
        if stamps(self._seen) != self._seen:
            self.reload()
