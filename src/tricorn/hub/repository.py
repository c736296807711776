"""The hub, through huggingface_hub: what a repository holds, and the bytes of its files.

huggingface_hub's own download begins a file anew after every interruption, so the bytes are asked
for here (see `transfer`), with its session, addresses, headers and errors.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

import httpx2
from huggingface_hub import (
    HfApi,
    get_hf_file_metadata,
    get_session,
    hf_hub_url,
    hf_raise_for_status,
)
from huggingface_hub.errors import (
    DisabledRepoError,
    GatedRepoError,
    HfHubHTTPError,
    OfflineModeIsEnabled,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]

from tricorn.errors import DownloadFailed, ModelNotFound, NotAllowed, TricornError
from tricorn.hub.names import Wanted
from tricorn.hub.selection import RepoFile

SILENCE_S = 30.0
"""A hub that says nothing for so long is asked again."""
TOKEN_HINT = "set HF_TOKEN to a token that may read it"
TRANSIENT = (408, 425, 429, 500, 502, 503, 504)


class Transient(Exception):
    """May be gone when it is tried again. `message` says what happened."""

    def __init__(self, message: str, *, wait_s: float = 0.0) -> None:
        super().__init__(message)
        self.message = message
        self.wait_s = wait_s
        """At least; the hub's own wish."""


@dataclass(frozen=True)
class Repository:
    repo: str
    commit: str
    files: tuple[RepoFile, ...]


@dataclass(frozen=True)
class Piece:
    """An answer with the bytes of a file from `start` to its end, or to where it was cut."""

    start: int
    response: httpx2.Response

    def chunks(self) -> Iterator[bytes]:
        """As they come. Transient where the connection is lost."""
        try:
            yield from self.response.iter_raw()
        except httpx2.TransportError as error:
            raise Transient(f"the connection was lost ({_what(error)})") from error


class Hub:
    """endpoint: None: HF_ENDPOINT, else huggingface.co. The token is HF_TOKEN, or the one that
    `hf auth login` has left in HF_HOME."""

    def __init__(self, endpoint: str | None = None) -> None:
        self._api = HfApi(endpoint=endpoint, library_name="tricorn")

    @property
    def host(self) -> str:
        """For people: without what else an address may hold."""
        return urlsplit(self._api.endpoint).hostname or "the hub"

    def repository(self, wanted: Wanted) -> Repository:
        """What is in the repository at the wanted revision. ModelNotFound, NotAllowed,
        DownloadFailed; Transient."""
        try:
            with self._translated(wanted):
                info = self._api.model_info(
                    wanted.repo, revision=wanted.revision, files_metadata=True, timeout=SILENCE_S
                )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise self._no_hub() from error  # what it sent is no JSON, or not the hub's
        if not info.sha:
            raise self._no_hub()
        files = tuple(
            RepoFile(
                sibling.rfilename,
                sibling.size,
                sibling.lfs.sha256 if sibling.lfs else None,
                None if sibling.lfs else sibling.blob_id,
            )
            for sibling in info.siblings or ()
        )
        return Repository(wanted.repo, info.sha, files)

    def with_size(self, repository: Repository, file: RepoFile) -> RepoFile:
        """The file with its size and hash: some mirrors tell them only with the file itself."""
        if file.size is not None:
            return file
        with self._translated(Wanted(repository.repo), file.name):
            found = get_hf_file_metadata(self._address(repository, file), timeout=SILENCE_S)
        if found.size is None:
            raise DownloadFailed(f"{self.host} does not tell the size of {file.name}")
        sha256 = found.etag if found.etag and len(found.etag) == 64 else None
        return replace(file, size=found.size, sha256=sha256)

    @contextlib.contextmanager
    def piece(
        self, repository: Repository, file: RepoFile, start: int, end: int
    ) -> Iterator[Piece]:
        """The bytes of `file` from `start` up to `end`, which may begin earlier than was asked.

        ModelNotFound, NotAllowed, DownloadFailed; Transient.
        """
        headers = build_hf_headers(library_name="tricorn") | {"Accept-Encoding": "identity"}
        if start > 0 or end != file.size:
            headers["Range"] = f"bytes={start}-{end - 1}"
        with (
            self._translated(Wanted(repository.repo), file.name),
            # Every time from the hub's own address: the one that it redirects to is soon too old.
            get_session().stream(
                "GET", self._address(repository, file), headers=headers, timeout=SILENCE_S
            ) as response,
        ):
            if response.status_code == 416:
                raise Transient(f"{self.host} has another {file.name} now")
            if response.status_code >= 400:
                response.read()
            hf_raise_for_status(response)
            yield Piece(_first_byte(response), response)

    # --- insides ------------------------------------------------------------------------------

    def _address(self, repository: Repository, file: RepoFile) -> str:
        return hf_hub_url(
            repository.repo, file.name, revision=repository.commit, endpoint=self._api.endpoint
        )

    @contextlib.contextmanager
    def _translated(self, wanted: Wanted, file: str = "") -> Iterator[None]:
        try:
            yield
        except HfHubHTTPError as error:
            wait_s = _retry_after(error.response)
            if error.response.status_code in TRANSIENT:
                status = error.response.status_code
                raise Transient(f"{self.host} answers {status}", wait_s=wait_s) from error
            raise self._lasting(error, wanted, file) from error
        except OfflineModeIsEnabled as error:
            raise DownloadFailed(
                "huggingface_hub is told to stay offline: unset HF_HUB_OFFLINE to pull models"
            ) from error
        except (
            httpx2.InvalidURL,
            httpx2.UnsupportedProtocol,
            httpx2.TooManyRedirects,
        ) as error:
            raise self._no_hub() from error
        except httpx2.LocalProtocolError:  # its text may hold the token
            raise NotAllowed("HF_TOKEN has characters in it that no token has") from None
        except httpx2.ProxyError as error:
            raise Transient(f"the proxy does not let us through ({_what(error)})") from error
        except httpx2.TransportError as error:
            raise Transient(f"{self.host} cannot be reached ({_what(error)})") from error

    def _no_hub(self) -> DownloadFailed:
        return DownloadFailed(
            f"{self.host} does not answer as a Hugging Face hub: check HF_ENDPOINT and proxies"
        )

    def _lasting(self, error: HfHubHTTPError, wanted: Wanted, file: str) -> TricornError:
        repo, status = wanted.repo, error.response.status_code
        match error:
            case GatedRepoError():
                return NotAllowed(
                    f"{repo} is gated: accept its terms on its page there, and {TOKEN_HINT}"
                )
            case DisabledRepoError():
                return NotAllowed(f"{self.host} has disabled the repository {repo}")
            case RevisionNotFoundError():
                return ModelNotFound(f"{repo} has no revision {wanted.revision}")
            case RemoteEntryNotFoundError():
                return ModelNotFound(f"{repo} has no file {file}")
            case RepositoryNotFoundError():
                return ModelNotFound(
                    f"{self.host} has no repository {repo}, or it is private: then {TOKEN_HINT}"
                )
        if status in (401, 403):
            return NotAllowed(
                f"{self.host} refuses access to {repo} ({status}): check HF_TOKEN, or {TOKEN_HINT}"
            )
        if status == 404:
            missing = f"file {file} in {repo}" if file else f"repository {repo}"
            return ModelNotFound(f"{self.host} has no {missing}")
        return DownloadFailed(f"{self.host} answers {status} when asked for {file or repo}")


def _first_byte(response: httpx2.Response) -> int:
    """Where the bytes of an answer begin: 0 where a range was asked for and not given."""
    unit, _, span = response.headers.get("Content-Range", "").partition(" ")
    start = span.partition("-")[0]
    return int(start) if response.status_code == 206 and unit == "bytes" and start.isdigit() else 0


def _retry_after(response: httpx2.Response) -> float:
    given = response.headers.get("Retry-After", "")
    return min(float(given), 120.0) if given.isdigit() else 0.0


def _what(error: httpx2.TransportError) -> str:
    """What went wrong, without addresses, which may be signed."""
    if isinstance(error, httpx2.TimeoutException):
        return f"nothing came for {SILENCE_S:.0f} s"
    text = str(error)
    return type(error).__name__ if not text or "://" in text else text
