"""An index on disk of what was kept, so that a new batch reads only what it might repeat.

It lies beside the tables and follows them: a partition that was published anew is read anew, all others are left
alone. It can be deleted at any time and is then built from the Parquet files again.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from stablellava_assets.filters.candidates import normalized_text
from stablellava_assets.filters.lookup_keys import lookup_keys
from stablellava_assets.filters.meanings import Meanings
from stablellava_assets.filters.settings import DuplicateSettings
from stablellava_assets.tables.identity import content_key
from stablellava_assets.tables.rows import Row
from stablellava_assets.tables.store import Partition

_VERSION = 1
"""Raise it when keys are made otherwise."""

_WAIT = 600.0
_CACHE_KIB = 512 * 1024
_ROUNDING = 1e-3
_SCHEMA = """
CREATE TABLE IF NOT EXISTS partitions (number INTEGER PRIMARY KEY, name TEXT UNIQUE NOT NULL, version TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS pairs (number INTEGER PRIMARY KEY, partition INTEGER NOT NULL, pair TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS keys (key INTEGER, pair INTEGER, PRIMARY KEY (key, pair)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS vectors (
    kind TEXT, subject TEXT, pair INTEGER, vector BLOB NOT NULL, PRIMARY KEY (kind, subject, pair)
) WITHOUT ROWID;
"""

ReadKept = Callable[[Partition], Sequence[Mapping[str, Any]]]
"""Reads what a partition kept: rows of ``EARLIER_COLUMNS``, in order."""


class KeptIndexError(RuntimeError):
    """An index that cannot be read or written; the message names the file and what to do."""


class KeptIndex:
    """What partitions of ``filtered_pairs`` kept, by what a pair could repeat. Several processes may use one file.

    Args:
        folder: where the SQLite file lies; settings that lead to other keys, and other models, have a file of their own.
        name: of the file, as an ability.
        settings: what counts as a repeat.
        meanings: vectors, where the settings compare by embeddings.
    """

    def __init__(self, folder: Path, name: str, settings: DuplicateSettings, meanings: Meanings | None = None) -> None:
        thresholds = (settings.near_prompt, settings.near_answer, settings.image_bits)
        models = meanings.key if meanings is not None else None
        self.path = folder / f"{name}.{content_key(_VERSION, thresholds, models)[:8]}.sqlite"
        self._settings = settings
        self._meanings = meanings

    def follow(self, versions: Mapping[Partition, str], read: ReadKept) -> list[Partition]:
        """Bring the index up to date with these partitions; returns those that had to be read.

        Args:
            versions: a token of each partition that changes whenever it is published.
            read: called for partitions whose token is new, in their order.
        """
        if not versions:
            return []
        with self._open() as connection:
            known = dict(connection.execute("SELECT name, version FROM partitions"))
            stale = [partition for partition, version in versions.items() if known.get(_name(partition)) != version]
            # What takes long is done before the file is locked.
            for partition in stale:
                pairs = read(partition)
                keys = lookup_keys(pairs, self._settings)
                with _writing(connection):
                    _forget(connection, partition)
                    self._remember(connection, partition, versions[partition], pairs, keys)
        return stale

    def repeatable_by(self, pairs: Sequence[Mapping[str, Any]], among: Sequence[Partition]) -> list[Row]:
        """Every kept pair of the partitions ``among`` that one of ``pairs`` could repeat, partition by partition, in their order.

        The pairs returned are a few too many, never too few: what they are compared by decides.
        """
        if not among:
            return []
        with self._open() as connection:
            # One view of the file from here on, whatever other processes write.
            connection.execute("BEGIN")
            numbers = dict(connection.execute("SELECT name, number FROM partitions"))
            position = {numbers[_name(partition)]: order for order, partition in enumerate(among)}
            connection.execute("CREATE TEMP TABLE wanted (key INTEGER PRIMARY KEY)")
            wanted = np.unique(lookup_keys(pairs, self._settings)[:, 0]).tolist()
            connection.executemany("INSERT INTO wanted VALUES (?)", ((key,) for key in wanted))
            found = {pair for (pair,) in connection.execute("SELECT pair FROM wanted JOIN keys USING (key)")}
            found |= self._near_in_meaning(connection, pairs)
            rows = []
            for number in sorted(found):
                query = "SELECT partition, pair FROM pairs WHERE number = ?"
                partition, pair = connection.execute(query, (number,)).fetchone()
                if partition in position:
                    rows.append((position[partition], number, pair))
        return [json.loads(pair) for _, _, pair in sorted(rows)]

    def _remember(
        self,
        connection: sqlite3.Connection,
        partition: Partition,
        version: str,
        pairs: Sequence[Mapping[str, Any]],
        keys: Any,
    ) -> None:
        statement = "INSERT INTO partitions (name, version) VALUES (?, ?)"
        number = connection.execute(statement, (_name(partition), version)).lastrowid
        (first,) = connection.execute("SELECT coalesce(max(number), 0) + 1 FROM pairs").fetchone()
        rows = ((first + at, number, json.dumps(dict(pair), ensure_ascii=False)) for at, pair in enumerate(pairs))
        connection.executemany("INSERT INTO pairs VALUES (?, ?, ?)", rows)
        # In the order of the keys, neighbours go to the same page of the file.
        ordered = keys[np.lexsort((keys[:, 1], keys[:, 0]))] + np.array([0, first])
        connection.executemany("INSERT OR IGNORE INTO keys VALUES (?, ?)", ordered.tolist())
        connection.executemany("INSERT INTO vectors VALUES (?, ?, ?, ?)", self._vectors(pairs, first))

    def _vectors(self, pairs: Sequence[Mapping[str, Any]], first: int) -> Iterator[tuple[str, str, int, bytes]]:
        for at, pair in enumerate(pairs):
            for kind, (vector, _) in self._compared(pair).items():
                if vector is not None:
                    yield kind, normalized_text(pair["subject"]), first + at, vector.tobytes()

    def _compared(self, pair: Mapping[str, Any]) -> dict[str, tuple[Any, float]]:
        """The vectors of a pair, and from which cosine they are near."""
        if self._meanings is None:
            return {}
        compared = {}
        if (text := self._settings.semantic_text) is not None:
            compared["prompt"] = self._meanings.prompt(pair), text.near_prompt
            compared["answer"] = self._meanings.answer(pair), text.near_answer
        if (images := self._settings.embedded_images) is not None:
            compared["image"] = self._meanings.image(pair), images.near_image
        return compared

    def _near_in_meaning(self, connection: sqlite3.Connection, pairs: Sequence[Mapping[str, Any]]) -> set[int]:
        """The kept pairs near one of ``pairs``: of the subjects that these have, each is compared with each."""
        asking: dict[tuple[str, str], tuple[list[Any], float]] = {}
        for pair in pairs:
            for kind, (vector, near) in self._compared(pair).items():
                if vector is not None:
                    asking.setdefault((kind, normalized_text(pair["subject"])), ([], near))[0].append(vector)
        found: set[int] = set()
        for group, (vectors, near) in asking.items():
            rows = connection.execute(
                "SELECT pair, vector FROM vectors WHERE kind = ? AND subject = ?", group
            ).fetchall()
            if rows:
                kept = np.frombuffer(b"".join(vector for _, vector in rows), np.float32).reshape(len(rows), -1)
                nearest = (kept @ np.stack(vectors).T).max(axis=1)
                found.update(rows[at][0] for at in np.nonzero(nearest >= near - _ROUNDING)[0])
        return found

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with closing(sqlite3.connect(self.path, timeout=_WAIT, isolation_level=None)) as connection:
                connection.execute("PRAGMA journal_mode=WAL")
                connection.execute("PRAGMA synchronous=NORMAL")
                connection.execute(f"PRAGMA cache_size=-{_CACHE_KIB}")
                connection.executescript(_SCHEMA)
                yield connection
        except sqlite3.DatabaseError as error:
            raise KeptIndexError(
                f"{self.path}: the index of kept pairs cannot be used ({error}). Delete the file; it is built again."
            ) from error


@contextmanager
def _writing(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _forget(connection: sqlite3.Connection, partition: Partition) -> None:
    row = connection.execute("SELECT number FROM partitions WHERE name = ?", (_name(partition),)).fetchone()
    if row is None:
        return
    query = "SELECT min(number), max(number) FROM pairs WHERE partition = ?"
    bounds = connection.execute(query, row).fetchone()
    if bounds[0] is not None:
        for table in ("keys", "vectors"):
            connection.execute(f"DELETE FROM {table} WHERE pair BETWEEN ? AND ?", bounds)
    connection.execute("DELETE FROM pairs WHERE partition = ?", row)
    connection.execute("DELETE FROM partitions WHERE number = ?", row)


def _name(partition: Partition) -> str:
    return "|".join(partition)
