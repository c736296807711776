"""The keys that hold now, as a gateway process knows them: those of the store, read again every
second while requests come, so that a key that is revoked is refused within one."""

from __future__ import annotations

import hmac
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from tricorn.access.terms import Identity
from tricorn.storage.keys import KeyStore, StoredKey

FRESH_S = 1.0


@dataclass(frozen=True)
class _Page:
    by_digest: dict[str, StoredKey] = field(default_factory=dict)
    configured: bool = False


class KeyBook:
    """Every method may raise StorageUnavailable. clock: monotonic seconds; wall: Unix seconds."""

    def __init__(
        self,
        store: KeyStore,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._clock = clock
        self._wall = wall
        self._page: tuple[float, _Page] | None = None

    def has_any(self) -> bool:
        """A key that is neither revoked nor expired, as of its last reading."""
        return bool(self._current().by_digest)

    def has_configured(self) -> bool:
        """One of API_KEYS."""
        return self._current().configured

    def find(self, text: str) -> Identity | None:
        """Whose key that is; None where it is none, or none any more."""
        page = self._current()
        if not page.by_digest:
            return None
        digest = self._store.digest(text)
        key = page.by_digest.get(digest)
        if key is None or not hmac.compare_digest(key.digest, digest):
            return None
        return Identity(key.id, key.name, key.terms) if key.is_live(self._wall()) else None

    def forget(self) -> None:
        """Read them anew: they were changed by this process."""
        self._page = None

    def _current(self) -> _Page:
        page, now = self._page, self._clock()
        if page is None or now - page[0] >= FRESH_S:
            keys = self._store.all(live=True)
            made = _Page({key.digest: key for key in keys}, any(key.configured for key in keys))
            self._page = page = now, made
        return page[1]
