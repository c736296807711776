"""A repository's folder below MODEL_BASE_PATH: partial files, whole ones, what is known of them.

    ORG/NAME/model-Q4_K_M.gguf        whole and checked, put there in one step
    ORG/NAME/.pull/DIGEST-….part      comes in; named after its content, so that it is found again
    ORG/NAME/.pull/files.json         what was pulled: digest, size and time of each file

The catalog looks into no folder whose name begins with a dot.
"""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from tricorn.errors import DownloadFailed
from tricorn.hub.names import Wanted
from tricorn.hub.selection import Chosen
from tricorn.hub.staging import LOCK, STAGING
from tricorn.hub.transfer import Digest, digest_name
from tricorn.installing import file_lock

RECORD = "files.json"


class Kept(msgspec.Struct, frozen=True):
    """A file that was pulled. It counts as the same while size and time are."""

    digest: str
    size: int
    mtime_ns: int
    folder: bool
    """It is of a model folder, which a later pull may have without it."""


class Store:
    def __init__(self, root: Path, wanted: Wanted) -> None:
        """DownloadFailed where the folder would lie outside of `root`."""
        root = root.resolve()
        self.folder = root / wanted.repo
        self._staging = self.folder / STAGING
        if not self._staging.resolve().is_relative_to(root):
            raise DownloadFailed(f"{self.folder} is a link that leads out of {root}: remove it")

    @contextlib.contextmanager
    def held(self, say: Callable[[str], None]) -> Iterator[None]:
        """Nobody else pulls into the folder; `say` tells that somebody does and is waited for."""
        self._staging.mkdir(parents=True, exist_ok=True)
        with file_lock.hold(self._staging / LOCK, f"pulling into {self.folder}", say):
            yield

    def partial(self, one: Chosen) -> Path:
        return self._staging / f"{digest_name(one.file).replace(':', '-')}-{_place(one)}.part"

    def forget_outdated(self, chosen: Sequence[Chosen]) -> None:
        """Remove partial files of these places that are of other contents than the hub has now."""
        for one in chosen:
            for part in self._staging.glob(f"*-{_place(one)}.part"):
                if part != self.partial(one):
                    part.unlink()

    def partial_size(self, one: Chosen) -> int:
        """Bytes of the file that are there from before; 0 where that cannot be its beginning."""
        try:
            size = self.partial(one).stat().st_size
        except OSError:
            return 0
        return size if size <= (one.file.size or 0) else 0

    def has(self, chosen: Chosen, *, reading: Callable[[], None]) -> bool:
        """Whether the file lies in its place, whole. One of the right size that was not pulled, or
        was changed since, is read: `reading` is called before."""
        path = self.folder / chosen.target
        try:
            status = path.stat()
        except OSError:
            return False
        if status.st_size != chosen.file.size or not path.is_file():
            return False
        kept = self._record().get(chosen.target)
        if kept is not None and (kept.size, kept.mtime_ns) == (status.st_size, status.st_mtime_ns):
            return kept.digest == digest_name(chosen.file)
        reading()
        digest = Digest(chosen.file)
        digest.add_file(path)
        return digest.fits()

    def put(self, chosen: Sequence[Chosen], *, folder: bool) -> list[Path]:
        """Move what is complete into its place, each in one step; all their paths.

        folder: they are a whole model folder: what an earlier pull put there besides is removed.
        """
        record = self._record()
        paths = []
        for one in chosen:
            path, partial = self.folder / one.target, self.partial(one)
            if partial.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                partial.replace(path)
            status = path.stat()
            record[one.target] = Kept(
                digest_name(one.file), status.st_size, status.st_mtime_ns, folder
            )
            paths.append(path)
        if folder:
            wanted = {one.target for one in chosen}
            for name in [name for name, kept in record.items() if kept.folder]:
                if name not in wanted:
                    (self.folder / name).unlink(missing_ok=True)
                    del record[name]
        fresh = self._staging / f"{RECORD}.new"
        fresh.write_bytes(msgspec.json.encode(record))
        fresh.replace(self._staging / RECORD)
        return paths

    def _record(self) -> dict[str, Kept]:
        """Empty where it is missing or torn: then files are read to know them."""
        try:
            content = (self._staging / RECORD).read_bytes()
            return msgspec.json.decode(content, type=dict[str, Kept])
        except (OSError, msgspec.MsgspecError, ValueError):
            return {}


def _place(one: Chosen) -> str:
    """Short for where a file goes: two files of a repository may have the same content."""
    return f"{zlib.crc32(one.target.encode()):08x}"
