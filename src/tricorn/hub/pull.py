"""A pull from beginning to end: what to take, whether it fits, fetching it, putting it in place.

Everything that can be known before the first byte is known before it: the repository, the right
files, what is there already, and room on the disk.
"""

from __future__ import annotations

import errno
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from tricorn.errors import DownloadFailed, InsufficientStorage
from tricorn.hub.names import Wanted
from tricorn.hub.repository import Hub, Repository
from tricorn.hub.selection import Chosen, RepoFile, Selection, select
from tricorn.hub.speed import Speed
from tricorn.hub.store import Store
from tricorn.hub.transfer import Patience, digest_name, fetch
from tricorn.hub.updates import Done, Plan, PlannedFile, Progress, Update, Verifying, Waiting

RESERVE_BYTES = 1_000_000_000
"""Stays free on the disk."""
ASKED_AGAIN = 2
"""Times, before there is anything to fetch."""
TELL_S = 0.2
"""Between two words about progress."""

Tell = Callable[[Update], None]


def pull(
    wanted: Wanted,
    root: Path,
    tell: Tell,
    *,
    hub: Hub | None = None,
    patience: Patience | None = None,
    free: Callable[[Path], int] = lambda folder: shutil.disk_usage(folder).free,
) -> Done:
    """Pull what is wanted into `root`; what was told last. Blocks.

    root: MODEL_BASE_PATH. tell: gets what happens, as `updates` draws it.
    Raises ModelNotFound, NotAllowed, InvalidRequest, InsufficientStorage, DownloadFailed. What has
    come stays, however it ends, and is used by the next pull.
    """
    hub = hub or Hub()
    patience = replace(patience or Patience(), told=lambda reason: tell(Waiting(reason)))
    # A hub that cannot be reached at all is told of soon; one that is lost later may come back.
    asking = replace(patience, retries=min(ASKED_AGAIN, patience.retries))
    try:
        root.mkdir(parents=True, exist_ok=True)
        repository = asking.until_done(lambda: hub.repository(wanted))
        selection = select(wanted, repository.files)
        files = tuple(
            Chosen(_with_size(hub, repository, one.file, asking), one.target)
            for one in selection.files
        )
        store = Store(root, wanted)
        with store.held(lambda reason: tell(Waiting(reason))):
            run = _Pull(hub, repository, Selection(selection.kind, files, selection.models), store)
            done = run.run(tell, patience, free)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise InsufficientStorage(
                f"the disk of {root} is full: make room and pull {wanted} again; it goes on from "
                "there"
            ) from error
        raise DownloadFailed(f"{wanted} cannot be stored: {error}") from error
    tell(done)
    return done


class _Pull:
    """One pull, its files chosen, with the folder to itself."""

    def __init__(
        self, hub: Hub, repository: Repository, selection: Selection, store: Store
    ) -> None:
        self._hub = hub
        self._repository = repository
        self._selection = selection
        self._store = store
        self._total = sum(one.file.size or 0 for one in selection.files)
        self._completed = 0
        self._file_completed = 0
        self._speed = Speed()
        self._told = 0.0

    def run(self, tell: Tell, patience: Patience, free: Callable[[Path], int]) -> Done:
        self._store.forget_outdated(self._selection.files)
        missing = [one for one in self._selection.files if not self._has(one, tell)]
        parts = {one: self._store.partial_size(one) for one in missing}
        self._completed = self._total - sum(
            (one.file.size or 0) - part for one, part in parts.items()
        )
        self._require_room(free(self._store.folder))
        tell(self._plan())
        fetched = sum(self._fetch(one, parts[one], tell, patience) for one in missing)
        paths = self._store.put(self._selection.files, folder=self._selection.kind == "folder")
        return Done(list(self._selection.models), [str(path) for path in paths], fetched)

    def _has(self, one: Chosen, tell: Tell) -> bool:
        return self._store.has(one, reading=lambda: tell(_verifying(one)))

    def _require_room(self, free: int) -> None:
        needed = self._total - self._completed
        if needed and needed + RESERVE_BYTES > free:
            raise InsufficientStorage(
                f"{self._repository.repo} needs {needed / 1e9:.1f} GB more and its disk has "
                f"{free / 1e9:.1f} GB left, of which {RESERVE_BYTES / 1e9:.0f} GB stay free: make "
                "room, or choose a smaller quantisation"
            )

    def _plan(self) -> Plan:
        files = [
            PlannedFile(one.target, one.file.size or 0, digest_name(one.file))
            for one in self._selection.files
        ]
        return Plan(
            self._repository.repo,
            self._repository.commit,
            files,
            self._total,
            self._completed,
            list(self._selection.models),
        )

    def _fetch(self, one: Chosen, part: int, tell: Tell, patience: Patience) -> int:
        self._file_completed = part

        def moved(count: int) -> None:
            self._completed += count
            self._file_completed += count
            self._speed.add(max(0, count))
            now = time.monotonic()
            if now - self._told >= TELL_S or self._file_completed == one.file.size:
                self._told = now
                tell(self._progress(one))

        if not part:
            tell(self._progress(one))
        return fetch(
            self._hub,
            self._repository,
            one.file,
            self._store.partial(one),
            moved=moved,
            reading=lambda: tell(_verifying(one)),
            patience=patience,
        )

    def _progress(self, one: Chosen) -> Progress:
        return Progress(
            one.target,
            digest_name(one.file),
            one.file.size or 0,
            self._file_completed,
            self._total,
            self._completed,
            self._speed.per_second(),
            self._speed.remaining_s(self._total - self._completed),
        )


def _with_size(hub: Hub, repository: Repository, file: RepoFile, patience: Patience) -> RepoFile:
    return patience.until_done(lambda: hub.with_size(repository, file))


def _verifying(one: Chosen) -> Verifying:
    return Verifying(one.target, digest_name(one.file))
