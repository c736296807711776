"""API keys, and what was used by them.

    keys     each key's terms, and an HMAC of the key itself: nobody reads a key out of it
    usage    requests and tokens by key, model and day (UTC)

Gateways and commands read and write keys; the manager alone adds to the usage, and notes when keys
were last used. A key that is revoked stays, for its usage to have a name.
"""

from __future__ import annotations

import datetime
import secrets
import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from tricorn.access import secret
from tricorn.access.terms import MAX_NAME, Terms
from tricorn.errors import Conflict, KeyNotFound, StorageUnavailable
from tricorn.storage.database import Database

FILE = "keys.db"
ANONYMOUS = ""
"""The key id of usage without a key."""

_MIGRATIONS = (
    (
        "CREATE TABLE keys (id TEXT PRIMARY KEY, name TEXT NOT NULL, digest TEXT NOT NULL UNIQUE, "
        "hint TEXT NOT NULL, configured INTEGER NOT NULL, terms BLOB NOT NULL, "
        "created REAL NOT NULL, expires REAL, last_used REAL, revoked REAL)",
        "CREATE TABLE usage (day TEXT NOT NULL, key TEXT NOT NULL, model TEXT NOT NULL, "
        "requests INTEGER NOT NULL, prompt_tokens INTEGER NOT NULL, "
        "completion_tokens INTEGER NOT NULL, PRIMARY KEY (day, key, model)) WITHOUT ROWID",
    ),
)
_COLUMNS = "id, name, digest, hint, configured, terms, created, expires, last_used, revoked"


class StoredKey(msgspec.Struct, frozen=True):
    """Times are Unix seconds."""

    id: str
    name: str
    digest: str
    hint: str
    configured: bool
    """One of API_KEYS: it changes with the settings only."""
    terms: Terms
    created: float
    expires: float | None = None
    last_used: float | None = None
    revoked: float | None = None

    def is_live(self, now: float) -> bool:
        return self.revoked is None and (self.expires is None or now < self.expires)

    def told(self) -> dict[str, Any]:
        """As it is shown, without its HMAC."""
        return {
            "id": self.id,
            "object": "api_key",
            "name": self.name,
            "hint": self.hint,
            "configured": self.configured,
            **msgspec.to_builtins(self.terms),
            "created": self.created,
            "expires": self.expires,
            "last_used": self.last_used,
            "revoked": self.revoked,
        }


class UsageRow(msgspec.Struct, frozen=True):
    day: str
    """YYYY-MM-DD, UTC."""
    key: str
    model: str
    requests: int
    prompt_tokens: int
    completion_tokens: int


class KeyStore:
    """folder: where its file and the server's secret are, made at first use. Safe to use from
    several threads, greenlets and processes.

    Every method may raise StorageUnavailable.
    """

    def __init__(self, folder: Path, clock: Callable[[], float] = time.time) -> None:
        self._folder = folder
        # An empty one in place of one that is damaged would let in whom the keys kept out.
        self._database = Database(folder / FILE, _MIGRATIONS, begins_anew=False)
        self._clock = clock
        self._secret: bytes | None = None

    # --- keys -----------------------------------------------------------------------------------

    def create(
        self, name: str, terms: Terms, expires: float | None = None
    ) -> tuple[StoredKey, str]:
        """A new key, and the text of it, which is nowhere kept."""
        text = secret.new_key()
        key = StoredKey(
            f"key_{secrets.token_hex(8)}",
            name[:MAX_NAME],
            self.digest(text),
            secret.hint(text),
            False,
            terms,
            self._clock(),
            expires,
        )
        self._database.write(lambda connection: _insert(connection, key))
        return key, text

    def all(self, *, live: bool = False) -> list[StoredKey]:
        """The oldest first. live: those alone that are neither revoked nor expired."""
        if not self._database.path.exists():
            return []  # asked for by every server: nothing is made where nobody has keys
        rows = self._database.read(
            lambda connection: connection.execute(
                f"SELECT {_COLUMNS} FROM keys ORDER BY created, id"
            ).fetchall()
        )
        now = self._clock()
        keys = [_key(row) for row in rows]
        return [key for key in keys if not live or key.is_live(now)]

    def get(self, key_id: str) -> StoredKey:
        """KeyNotFound."""
        found = next((key for key in self.all() if key.id == key_id), None)
        if found is None:
            raise _not_found(key_id)
        return found

    def change(self, key_id: str, edit: Callable[[StoredKey], StoredKey]) -> StoredKey:
        """Keep what `edit` makes of the key as it is; nobody else changes it meanwhile.
        KeyNotFound; Conflict where it comes from the settings, or is revoked."""
        return self._altered(key_id, lambda key: edit(_changeable(key)))

    def revoke(self, key_id: str) -> StoredKey:
        """It is refused from now on. As `change`; of one that is revoked already, nothing."""

        def edit(key: StoredKey) -> StoredKey:
            if key.revoked is not None:
                return key
            return msgspec.structs.replace(_changeable(key), revoked=self._clock())

        return self._altered(key_id, edit)

    def rotate(self, key_id: str) -> tuple[StoredKey, str]:
        """Another text for the same key; the one before it is refused from now on. As `change`."""
        text = secret.new_key()
        fresh = {"digest": self.digest(text), "hint": secret.hint(text)}
        return self.change(key_id, lambda key: msgspec.structs.replace(key, **fresh)), text

    def configure(self, texts: Sequence[str]) -> None:
        """The keys of the settings are these; others of them are there no more."""
        if not texts and not self._database.path.exists():
            return
        digests = {self.digest(text): number for number, text in enumerate(texts, start=1)}

        def work(connection: sqlite3.Connection) -> None:
            found = connection.execute("SELECT digest FROM keys WHERE configured").fetchall()
            there = {row[0] for row in found}
            for digest in there - digests.keys():
                connection.execute("DELETE FROM keys WHERE digest = ? AND configured", (digest,))
            for digest in digests.keys() - there:
                # A key that was created here, and is written into the settings as well, stays.
                _insert(connection, self._configured(digest, digests[digest]), or_not=True)

        self._database.write(work)

    def digest(self, text: str) -> str:
        """What is kept of a key."""
        if self._secret is None:
            try:
                self._secret = secret.server_secret(self._folder)
            except OSError as error:
                raise StorageUnavailable(f"The server's secret cannot be used: {error}") from error
        return secret.digest(text, self._secret)

    # --- usage ----------------------------------------------------------------------------------

    def add(self, rows: Iterable[UsageRow], used: dict[str, float]) -> None:
        """rows: to be added to what is there. used: by key id, when it was last."""
        added = [(row.day, row.key, row.model, *_counts(row)) for row in rows]

        def work(connection: sqlite3.Connection) -> None:
            connection.executemany(
                "INSERT INTO usage VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (day, key, model) "
                "DO UPDATE SET requests = requests + excluded.requests, "
                "prompt_tokens = prompt_tokens + excluded.prompt_tokens, "
                "completion_tokens = completion_tokens + excluded.completion_tokens",
                added,
            )
            connection.executemany(
                "UPDATE keys SET last_used = ? WHERE id = ?",
                [(at, key_id) for key_id, at in used.items()],
            )

        self._database.write(work)

    def usage(
        self, since: str, until: str = "9999", key: str | None = None, model: str | None = None
    ) -> list[UsageRow]:
        """Of these days, both included; of one key or model, or of all."""
        if not self._database.path.exists():
            return []
        rows = self._database.read(
            lambda connection: connection.execute(
                "SELECT day, key, model, requests, prompt_tokens, completion_tokens FROM usage "
                "WHERE day BETWEEN ? AND ? AND (? IS NULL OR key = ?) AND (? IS NULL OR model = ?)",
                (since, until, key, key, model, model),
            ).fetchall()
        )
        return [UsageRow(*row) for row in rows]

    def close(self) -> None:
        self._database.close()

    # --- inside ---------------------------------------------------------------------------------

    def _altered(self, key_id: str, edit: Callable[[StoredKey], StoredKey]) -> StoredKey:
        self.get(key_id)  # KeyNotFound, without a file where there was none

        def work(connection: sqlite3.Connection) -> StoredKey:
            row = connection.execute(
                f"SELECT {_COLUMNS} FROM keys WHERE id = ?", (key_id,)
            ).fetchone()
            if row is None:
                raise _not_found(key_id)
            key = edit(_key(row))
            connection.execute(
                "UPDATE keys SET name = ?, digest = ?, hint = ?, terms = ?, expires = ?, "
                "revoked = ? WHERE id = ?",
                (
                    key.name,
                    key.digest,
                    key.hint,
                    msgspec.json.encode(key.terms),
                    key.expires,
                    key.revoked,
                    key_id,
                ),
            )
            return key

        return self._database.write(work)

    def _configured(self, digest: str, number: int) -> StoredKey:
        name, every = f"API_KEYS {number}", Terms(permissions=("all",))
        return StoredKey(f"key_{digest[:16]}", name, digest, "…", True, every, self._clock())


def day(at: float) -> str:
    """Of a time in Unix seconds, as usage has it."""
    return datetime.datetime.fromtimestamp(at, datetime.UTC).date().isoformat()


def _not_found(key_id: str) -> KeyNotFound:
    return KeyNotFound(f"There is no key with the id '{key_id[:64]}'.")


def _changeable(key: StoredKey) -> StoredKey:
    if key.configured:
        raise Conflict(f"The key '{key.id}' is one of API_KEYS: change it in the settings.")
    if key.revoked is not None:
        raise Conflict(f"The key '{key.id}' is revoked, for good.")
    return key


def _insert(connection: sqlite3.Connection, key: StoredKey, *, or_not: bool = False) -> None:
    values = [getattr(key, name) for name in _COLUMNS.split(", ")]
    values[5] = msgspec.json.encode(key.terms)
    marks = ", ".join("?" * len(values))
    verb = "INSERT OR IGNORE" if or_not else "INSERT"
    connection.execute(f"{verb} INTO keys ({_COLUMNS}) VALUES ({marks})", values)


def _key(row: Sequence[Any]) -> StoredKey:
    values = dict(zip(_COLUMNS.split(", "), row, strict=True))
    try:
        values["terms"] = msgspec.json.decode(values["terms"], type=Terms)
    except msgspec.DecodeError as error:
        raise StorageUnavailable(f"{FILE} has a key that is not understood: {error}") from error
    values["configured"] = bool(values["configured"])
    return StoredKey(**values)


def _counts(row: UsageRow) -> tuple[int, int, int]:
    return row.requests, row.prompt_tokens, row.completion_tokens
