"""Stored responses: each with the items it came to answer, and the response before it.

A conversation is kept as its turns, which point to the ones before them; it is put together when it
is continued. Whoever continues a conversation renews all of it, so that it ends as a whole. When
room is needed, whoever has the most loses the one that was not continued for the longest time: what
one owner stores never takes the place of another who has less.
"""

from __future__ import annotations

import copy
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from tricorn.storage.database import Database

FILE = "responses.db"
AT_ONCE = 32
"""Most expired ones that are cleared away by one save, so that none takes long."""

Json = dict[str, Any]

_MIGRATIONS = (
    (
        "CREATE TABLE responses (id TEXT PRIMARY KEY, previous TEXT, expires INTEGER NOT NULL, "
        "created INTEGER NOT NULL, size INTEGER NOT NULL, input BLOB NOT NULL, "
        "response BLOB NOT NULL)",
        "CREATE INDEX responses_expire ON responses (expires, created)",
        "CREATE TABLE items (id TEXT NOT NULL, response TEXT NOT NULL "
        "REFERENCES responses ON DELETE CASCADE, PRIMARY KEY (id, response)) WITHOUT ROWID",
        "CREATE INDEX items_of ON items (response)",
        "CREATE TABLE totals (responses INTEGER NOT NULL, bytes INTEGER NOT NULL)",
        "INSERT INTO totals VALUES (0, 0)",
        "CREATE TRIGGER response_comes AFTER INSERT ON responses BEGIN UPDATE totals SET "
        "responses = responses + 1, bytes = bytes + new.size; END",
        "CREATE TRIGGER response_goes AFTER DELETE ON responses BEGIN UPDATE totals SET "
        "responses = responses - 1, bytes = bytes - old.size; END",
    ),
    ("ALTER TABLE responses ADD COLUMN owner TEXT NOT NULL DEFAULT ''",),
    (
        "DROP INDEX responses_expire",
        "CREATE INDEX responses_expire ON responses (expires)",
        "CREATE INDEX responses_of ON responses (owner, expires, created)",
        "CREATE TABLE owners (owner TEXT PRIMARY KEY, responses INTEGER NOT NULL, "
        "bytes INTEGER NOT NULL) WITHOUT ROWID",
        "INSERT INTO owners SELECT owner, count(*), sum(size) FROM responses GROUP BY owner",
        "DROP TRIGGER response_comes",
        "DROP TRIGGER response_goes",
        "DROP TABLE totals",
        "CREATE TRIGGER response_comes AFTER INSERT ON responses BEGIN "
        "INSERT INTO owners VALUES (new.owner, 1, new.size) ON CONFLICT (owner) DO UPDATE SET "
        "responses = responses + 1, bytes = bytes + new.size; END",
        "CREATE TRIGGER response_goes AFTER DELETE ON responses BEGIN "
        "UPDATE owners SET responses = responses - 1, bytes = bytes - old.size "
        "WHERE owner = old.owner; "
        "DELETE FROM owners WHERE owner = old.owner AND responses = 0; END",
    ),
)

_CHAIN = """
WITH RECURSIVE chain (id, depth) AS (
    SELECT :id, 0
    UNION ALL
    SELECT responses.previous, depth + 1 FROM chain JOIN responses USING (id)
    WHERE responses.previous IS NOT NULL AND expires > :now AND owner = :owner
)
"""
"""A response and those before it, newest first. The last one may be gone."""


@dataclass(frozen=True)
class Turn:
    """What came in, and the response to it."""

    input: list[Json]
    """Items, in the form in which they are listed."""
    response: Json


class Missing(Exception):
    """There is no such response, or not any more."""

    def __init__(self, response_id: str) -> None:
        super().__init__(response_id)
        self.response_id = response_id


class ResponseStore:
    """folder: where its file is made. ttl_s: how long a response is kept after it was last
    continued. Whatever is beyond max_responses or max_bytes (of JSON) goes.

    What one owner has stored is not there for others; see `of`.

    Every method may raise StorageUnavailable.
    """

    def __init__(
        self,
        folder: Path,
        *,
        ttl_s: int,
        max_responses: int,
        max_bytes: int,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database = Database(folder / FILE, _MIGRATIONS)
        self._ttl_s = ttl_s
        self._max_responses = max_responses
        self._max_bytes = max_bytes
        self._clock = clock
        self._owner = ""

    def of(self, owner: str) -> ResponseStore:
        """The same store, as the owner of that name has it."""
        own = copy.copy(self)
        own._owner = owner
        return own

    @property
    def keeps(self) -> bool:
        """Anything at all."""
        return self._max_responses > 0

    def save(self, turn: Turn, previous: str | None = None) -> None:
        """Keep it and renew the turns before it. One that is larger than everything together may be
        is not kept."""
        sent, given = orjson.dumps(turn.input), orjson.dumps(turn.response)
        size = len(sent) + len(given)
        now = int(self._clock())
        response_id = turn.response["id"]
        row = (response_id, previous, now + self._ttl_s, now, size, sent, given, self._owner)
        items = {(item["id"], response_id) for item in (*turn.input, *turn.response["output"])}

        def work(connection: sqlite3.Connection) -> None:
            connection.execute(
                _CHAIN + "UPDATE responses SET expires = :expires "
                "WHERE owner = :owner AND id IN (SELECT id FROM chain)",
                {
                    "id": previous,
                    "now": now,
                    "expires": now + self._ttl_s,
                    "owner": self._owner,
                },
            )
            connection.execute("INSERT INTO responses VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
            connection.executemany("INSERT INTO items VALUES (?, ?)", items)
            self._prune(connection, now)

        if size <= self._max_bytes:
            self._database.write(work)

    def get(self, response_id: str) -> Turn:
        """Missing where it is not there."""
        return self.turns(response_id, only=True)[0]

    def turns(self, response_id: str, *, only: bool = False) -> list[Turn]:
        """The conversation up to this response, oldest first. Missing names the one that is gone.

        only: without those before it.
        """
        now = int(self._clock())
        rows = self._database.read(
            lambda connection: connection.execute(
                _CHAIN + "SELECT chain.id, input, response FROM chain LEFT JOIN responses "
                "ON responses.id = chain.id AND expires > :now AND owner = :owner "
                "ORDER BY depth LIMIT :limit",
                {
                    "id": response_id,
                    "now": now,
                    "owner": self._owner,
                    "limit": 1 if only else -1,
                },
            ).fetchall()
        )
        for found, sent, _ in rows:
            if sent is None:
                raise Missing(found)
        return [Turn(orjson.loads(sent), orjson.loads(given)) for _, sent, given in reversed(rows)]

    def item(self, item_id: str) -> Json | None:
        """One that any stored response has, as input or output."""
        now = int(self._clock())
        row = self._database.read(
            lambda connection: connection.execute(
                "SELECT input, responses.response FROM items "
                "JOIN responses ON responses.id = items.response "
                "WHERE items.id = ? AND expires > ? AND owner = ? ORDER BY created DESC LIMIT 1",
                (item_id, now, self._owner),
            ).fetchone()
        )
        if row is None:
            return None
        items: list[Json] = orjson.loads(row[0]) + orjson.loads(row[1])["output"]
        return next(item for item in items if item["id"] == item_id)

    def delete(self, response_id: str) -> None:
        """Missing where it is not there."""
        now = int(self._clock())
        gone = self._database.write(
            lambda connection: (
                connection.execute(
                    "DELETE FROM responses WHERE id = ? AND expires > ? AND owner = ?",
                    (response_id, now, self._owner),
                ).rowcount
            )
        )
        if not gone:
            raise Missing(response_id)

    def close(self) -> None:
        self._database.close()

    def _prune(self, connection: sqlite3.Connection, now: int) -> None:
        connection.execute(
            "DELETE FROM responses WHERE id IN "
            "(SELECT id FROM responses WHERE expires <= ? ORDER BY expires LIMIT ?)",
            (now, AT_ONCE),
        )
        while True:
            count, size = connection.execute(
                "SELECT total(responses), total(bytes) FROM owners"
            ).fetchone()
            if count > self._max_responses:
                most = "responses"
            elif size > self._max_bytes:
                most = "bytes"
            else:
                return
            # Turns of one conversation expire together: of these the oldest goes first.
            connection.execute(
                "DELETE FROM responses WHERE rowid = (SELECT rowid FROM responses WHERE owner = "
                f"(SELECT owner FROM owners ORDER BY {most} DESC, owner LIMIT 1) "
                "ORDER BY expires, created, rowid LIMIT 1)"
            )
