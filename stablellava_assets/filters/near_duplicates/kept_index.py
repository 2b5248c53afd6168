"""On-disk index of kept pairs, so that a new batch reads only the pairs it could repeat.

It is derived from the tables: partitions that were published again are indexed again. The file can be deleted at
any time and is then rebuilt from the Parquet files.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np

from stablellava_assets.filters.embeddings.embeddings import Embeddings
from stablellava_assets.filters.near_duplicates.cyclic_gc import without_cyclic_gc
from stablellava_assets.filters.near_duplicates.key_runs import SCHEMA as KEY_RUNS
from stablellava_assets.filters.near_duplicates.key_runs import KeyRuns
from stablellava_assets.filters.near_duplicates.lookup_keys import Keys, lookup_keys
from stablellava_assets.filters.near_duplicates.near_vectors import Vector
from stablellava_assets.filters.settings import DuplicateSettings
from stablellava_assets.inputs.explained import ExplainedError
from stablellava_assets.tables.identity import content_key
from stablellava_assets.tables.pair_rows import ComparedPair
from stablellava_assets.tables.sqlite import open_sqlite
from stablellava_assets.tables.store import Partition
from stablellava_assets.text.normalized import normalized_text

_VERSION = 4
"""Increase it when keys are computed or stored differently. The file name changes, and older files are deleted."""

_WAIT = 600.0
_PRAGMAS = {"page_size": 16 * 1024, "mmap_size": 16 * 1024**3, "cache_size": -64 * 1024}
_ROUNDING = 1e-3
_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS partitions (
    name TEXT PRIMARY KEY, version TEXT NOT NULL, first INTEGER NOT NULL, beyond INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS pairs (number INTEGER PRIMARY KEY AUTOINCREMENT, pair TEXT NOT NULL);
{KEY_RUNS}
CREATE TABLE IF NOT EXISTS vectors (
    kind TEXT, subject TEXT, pair INTEGER, vector BLOB NOT NULL, PRIMARY KEY (kind, subject, pair)
) WITHOUT ROWID;
"""

ReadKept = Callable[[Partition], Sequence[ComparedPair]]
"""Reads the kept pairs of a partition, in order."""


class KeptIndexError(ExplainedError, RuntimeError):
    """The index cannot be read or written. The message names the file and the remedy."""


class KeptIndex:
    """Kept pairs of ``filtered_pairs`` partitions by their lookup keys. Several processes may use one file.

    Args:
        folder: folder of the SQLite file. Settings that lead to other keys, and other models, use separate files.
        name: first part of the file name, such as an ability.
        settings: what counts as a repeat.
        embeddings: required if the settings compare by embeddings.
    """

    def __init__(
        self, folder: Path, name: str, settings: DuplicateSettings, embeddings: Embeddings | None = None
    ) -> None:
        thresholds = (settings.near_prompt, settings.near_answer, settings.image_bits)
        models = embeddings.key if embeddings is not None else None
        paths = [
            folder / f"{name}.{content_key(version, thresholds, models)[:8]}.sqlite"
            for version in range(1, _VERSION + 1)
        ]
        *self._outdated, self.path = paths
        self._settings = settings
        self._embeddings = embeddings

    @without_cyclic_gc()
    def sync(self, versions: Mapping[Partition, str], read: ReadKept) -> list[Partition]:
        """Bring the index up to date with these partitions; returns those that had to be read.

        Args:
            versions: a version token per partition, which changes whenever it is published.
            read: called for partitions with a new token, in their order.
        """
        if not versions:
            return []
        with self._open() as connection:
            known = dict(connection.execute("SELECT name, version FROM partitions"))
            stale = [partition for partition, version in versions.items() if known.get(_name(partition)) != version]
            # The slow part is done before the file is locked.
            for partition in stale:
                pairs = read(partition)
                keys = lookup_keys(pairs, self._settings)
                with _writing(connection):
                    _delete_partition(connection, partition)
                    self._insert_partition(connection, partition, versions[partition], pairs, keys)
        return stale

    @without_cyclic_gc()
    def repeatable_by(self, pairs: Sequence[ComparedPair], among: Sequence[Partition]) -> list[ComparedPair]:
        """Every kept pair of the partitions ``among`` that one of ``pairs`` could repeat, in
        the order of partitions and rows.

        The result is a superset: it may contain pairs that are no repeats, but misses none.
        """
        if not among:
            return []
        with self._open() as connection:
            # A read transaction gives one consistent view, whatever other processes write.
            connection.execute("BEGIN")
            alike = KeyRuns(connection).owners(lookup_keys(pairs, self._settings)[:, 0])
            found = np.union1d(alike, np.array(self._near_by_embedding(connection, pairs), alike.dtype))
            rows = []
            for partition in among:
                query = "SELECT first, beyond FROM partitions WHERE name = ?"
                first, beyond = np.searchsorted(found, connection.execute(query, (_name(partition),)).fetchone())
                query = "SELECT pair FROM pairs WHERE number IN (SELECT value FROM json_each(?)) ORDER BY number"
                rows += connection.execute(query, (json.dumps(found[first:beyond].tolist()),)).fetchall()
        return [json.loads(pair) for (pair,) in rows]

    def _insert_partition(
        self,
        connection: sqlite3.Connection,
        partition: Partition,
        version: str,
        pairs: Sequence[ComparedPair],
        keys: Keys,
    ) -> None:
        # Numbers are never reused, because keys of deleted pairs may still refer to theirs.
        query = "SELECT coalesce(max(seq), 0) + 1 FROM sqlite_sequence WHERE name = 'pairs'"
        (first,) = connection.execute(query).fetchone()
        row = _name(partition), version, first, first + len(pairs)
        connection.execute("INSERT INTO partitions VALUES (?, ?, ?, ?)", row)
        rows = ((first + at, json.dumps(dict(pair), ensure_ascii=False)) for at, pair in enumerate(pairs))
        connection.executemany("INSERT INTO pairs VALUES (?, ?)", rows)
        alive = connection.execute(
            "SELECT first, beyond FROM partitions WHERE first < beyond ORDER BY first"
        ).fetchall()
        KeyRuns(connection).add(keys[:, 0], keys[:, 1] + first, alive)
        connection.executemany("INSERT INTO vectors VALUES (?, ?, ?, ?)", self._vectors(pairs, first))

    def _vectors(self, pairs: Sequence[ComparedPair], first: int) -> Iterator[tuple[str, str, int, bytes]]:
        for at, pair in enumerate(pairs):
            for kind, (vector, _) in self._compared(pair).items():
                if vector is not None:
                    yield kind, normalized_text(pair["subject"]), first + at, vector.tobytes()

    def _compared(self, pair: ComparedPair) -> dict[str, tuple[Vector | None, float]]:
        """The embeddings of a pair, and the cosine similarity from which each counts as near."""
        if self._embeddings is None:
            return {}
        compared: dict[str, tuple[Vector | None, float]] = {}
        if (text := self._settings.semantic_text) is not None:
            compared["prompt"] = self._embeddings.prompt(pair), text.near_prompt
            compared["answer"] = self._embeddings.answer(pair), text.near_answer
        if (images := self._settings.embedded_images) is not None:
            compared["image"] = self._embeddings.image(pair), images.near_image
        return compared

    def _near_by_embedding(self, connection: sqlite3.Connection, pairs: Sequence[ComparedPair]) -> list[int]:
        """Numbers of the kept pairs near one of ``pairs``, by exhaustive comparison within each subject."""
        queries: dict[tuple[str, str], tuple[list[Vector], float]] = {}
        for pair in pairs:
            for kind, (vector, near) in self._compared(pair).items():
                if vector is not None:
                    queries.setdefault((kind, normalized_text(pair["subject"])), ([], near))[0].append(vector)
        found: set[int] = set()
        for group, (vectors, near) in queries.items():
            rows = connection.execute(
                "SELECT pair, vector FROM vectors WHERE kind = ? AND subject = ?", group
            ).fetchall()
            if rows:
                kept = np.frombuffer(b"".join(vector for _, vector in rows), np.float32).reshape(len(rows), -1)
                nearest = (kept @ np.stack(vectors).T).max(axis=1)
                found.update(rows[at][0] for at in np.nonzero(nearest >= near - _ROUNDING)[0])
        return sorted(found)

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            for path in self._outdated:
                path.unlink(missing_ok=True)
            with closing(open_sqlite(self.path, _SCHEMA, wait_s=_WAIT, pragmas=_PRAGMAS)) as connection:
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


def _delete_partition(connection: sqlite3.Connection, partition: Partition) -> None:
    name = (_name(partition),)
    numbers = connection.execute("SELECT first, beyond FROM partitions WHERE name = ?", name).fetchone()
    if numbers is None:
        return
    connection.execute("DELETE FROM pairs WHERE number >= ? AND number < ?", numbers)
    connection.execute("DELETE FROM vectors WHERE pair >= ? AND pair < ?", numbers)
    connection.execute("DELETE FROM partitions WHERE name = ?", name)


def _name(partition: Partition) -> str:
    return "|".join(partition)
