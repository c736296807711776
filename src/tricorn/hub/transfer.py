"""Fetching one file: goes on where it stopped, tries again when the line drops, and believes
nothing before its hash is right."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypeVar

from tricorn.errors import DownloadFailed
from tricorn.hub.repository import Hub, Repository, Transient
from tricorn.hub.selection import RepoFile

BLOCK = 1 << 20
PIECE = 16 * 2**30
"""Asked for at once: content networks give no more than 50 GB in one answer."""
RETRIES = 5
FIRST_WAIT_S = 1.0

Result = TypeVar("Result")


@dataclass(frozen=True)
class Patience:
    """How often something is tried that may yet work. Waits double."""

    retries: int = RETRIES
    first_wait_s: float = FIRST_WAIT_S
    sleep: Callable[[float], None] = time.sleep
    told: Callable[[str], None] = lambda reason: None
    """Gets the reason before each wait."""

    def pause(self, failures: int, trouble: Transient) -> None:
        """Wait after so many failures in a row; DownloadFailed where they are too many."""
        if failures > self.retries:
            raise DownloadFailed(
                f"{trouble.message}, also when tried again; what has come is kept: pull it again "
                "to go on"
            ) from trouble
        self.told(f"{trouble.message}: trying again")
        self.sleep(max(trouble.wait_s, self.first_wait_s * 2 ** (failures - 1)))

    def until_done(self, work: Callable[[], Result]) -> Result:
        """Try `work` until it raises no Transient."""
        failures = 0
        while True:
            try:
                return work()
            except Transient as trouble:
                failures += 1
                self.pause(failures, trouble)


class Digest:
    """The hash that the hub knows a file by, of bytes as they come."""

    def __init__(self, file: RepoFile) -> None:
        self._file = file
        self._hash = hashlib.sha256()
        if file.sha256 is None and file.git_id is not None:
            self._hash = hashlib.sha1(b"blob %d\0" % (file.size or 0), usedforsecurity=False)

    def add(self, data: bytes) -> None:
        self._hash.update(data)

    def add_file(self, path: Path) -> None:
        with path.open("rb") as source:
            while block := source.read(BLOCK):
                self._hash.update(block)

    def fits(self) -> bool:
        """Also where the hub told none: then the size alone decides."""
        expected = self._file.sha256 or self._file.git_id
        return expected is None or self._hash.hexdigest() == expected.lower()


def digest_name(file: RepoFile) -> str:
    """For people and for the names of partial files: of which content a file is."""
    if file.sha256 is not None:
        return f"sha256:{file.sha256}"
    if file.git_id is not None:
        return f"git:{file.git_id}"
    return f"name:{hashlib.sha256(f'{file.name} {file.size}'.encode()).hexdigest()}"


def fetch(
    hub: Hub,
    repository: Repository,
    file: RepoFile,
    partial: Path,
    *,
    moved: Callable[[int], None],
    reading: Callable[[], None],
    patience: Patience | None = None,
    piece: int = PIECE,
) -> int:
    """Complete `partial`, which may hold the beginning of the file; gives the bytes that came.

    moved: told by how much the partial file has grown, or shrunk. reading: called before the bytes
    that are there already are read. DownloadFailed where it cannot be completed (what has come
    stays), or where the hash is wrong (then it is removed).
    """
    patience, size = patience or Patience(), file.size or 0
    fetched = failures = 0
    digest = Digest(file)
    with partial.open("ab") as sink:
        have = sink.tell()
        if have > size:
            sink.truncate(0)
            have = 0
        if have:
            reading()
            digest.add_file(partial)
        while have < size:
            before = have
            try:
                with hub.piece(repository, file, have, min(have + piece, size)) as answer:
                    if answer.start not in (0, have):
                        raise Transient(f"{hub.host} sent another part of {file.name}")
                    if answer.start != have:  # it gives no ranges
                        have, digest = _begin_anew(sink, have, moved), Digest(file)
                    for chunk in answer.chunks():
                        sink.write(chunk)
                        digest.add(chunk)
                        have += len(chunk)
                        fetched += len(chunk)
                        moved(len(chunk))
                        if have > size:
                            raise _wrong(hub, file, sink, have, moved)
                if have == before:
                    raise Transient(f"{hub.host} sent nothing of {file.name}")
            except Transient as trouble:
                failures = 1 if have > before else failures + 1
                patience.pause(failures, trouble)
        sink.flush()
        os.fsync(sink.fileno())
        if not digest.fits():
            raise _wrong(hub, file, sink, have, moved)
    return fetched


def _wrong(
    hub: Hub, file: RepoFile, sink: BinaryIO, have: int, moved: Callable[[int], None]
) -> DownloadFailed:
    """The error of a file that is another one than the hub said; what came of it is removed."""
    _begin_anew(sink, have, moved)
    Path(sink.name).unlink()
    return DownloadFailed(
        f"what came as {file.name} is not what {hub.host} says it is (its hash or size differs), "
        "so it was removed: pull it again, or from another mirror (HF_ENDPOINT)"
    )


def _begin_anew(sink: BinaryIO, have: int, moved: Callable[[int], None]) -> int:
    sink.truncate(0)
    moved(-have)
    return 0
