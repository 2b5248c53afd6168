"""Finds the kept pairs that new pairs could repeat, by their lookup keys.

The keys of a partition are a Parquet file beside the tables, and the pairs as they are compared are another. They are
named by a hash of the kept pairs and of the settings: each is made once and never changed. Files that are missing are
made.
"""

from __future__ import annotations

import glob
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from stablellava_assets.filters.candidates import EARLIER_COLUMNS, subject_key
from stablellava_assets.filters.embeddings.embeddings import Embeddings
from stablellava_assets.filters.near_duplicates.comparisons import KEPT_COLUMNS, kept_version
from stablellava_assets.filters.near_duplicates.cyclic_gc import without_cyclic_gc
from stablellava_assets.filters.near_duplicates.lookup_keys import lookup_keys
from stablellava_assets.filters.near_duplicates.near_vectors import Vector
from stablellava_assets.filters.settings import DuplicateSettings
from stablellava_assets.tables.identity import content_key
from stablellava_assets.tables.pair_rows import ComparedPair, LookupVector
from stablellava_assets.tables.reading import texts_of
from stablellava_assets.tables.schemas import FILTERED_PAIRS, LOOKUP_KEYS, LOOKUP_PAIRS, LOOKUP_VECTORS
from stablellava_assets.tables.store import ParquetStore, Partition, StoreError
from stablellava_assets.tables.table import AnyTable, rows_of

if TYPE_CHECKING:
    import duckdb

_VERSION = 1
"""Increase it when keys are computed differently: files of other versions are not read."""

_ROUNDING = 1e-3

LoadVectors = Callable[[Partition, Sequence[ComparedPair]], None]
"""Loads the embeddings of kept pairs of a partition."""

Rows = NDArray[np.int64]


class KeptChangedError(Exception):
    """A partition was published again while it was looked up."""


class _Compared(NamedTuple):
    """An embedding, the kind and subject within which it is compared, and the cosine similarity that counts as near."""

    kind: str
    subject: str
    vector: Vector
    near: float


class KeptLookup:
    """The kept pairs of ``filtered_pairs`` partitions by their lookup keys.

    Args:
        store: the tables.
        settings: what counts as a repeat.
        embeddings: required if the settings compare by embeddings.
        load: called before the embeddings of kept pairs are needed.
    """

    def __init__(
        self,
        store: ParquetStore,
        settings: DuplicateSettings,
        embeddings: Embeddings | None = None,
        load: LoadVectors = lambda partition, pairs: None,
    ) -> None:
        self._store = store
        self._settings = settings
        self._embeddings = embeddings
        self._load = load
        thresholds = (settings.near_prompt, settings.near_answer, settings.image_bits)
        self._settings_of = {
            LOOKUP_KEYS.name: content_key("keys", _VERSION, thresholds),
            LOOKUP_PAIRS.name: content_key("pairs", _VERSION, EARLIER_COLUMNS),
        }
        self._tables: list[AnyTable] = [LOOKUP_KEYS, LOOKUP_PAIRS]
        if embeddings is not None:
            self._settings_of[LOOKUP_VECTORS.name] = content_key("vectors", _VERSION, embeddings.key)
            self._tables.append(LOOKUP_VECTORS)

    def add(self, partition: Partition, kept: str, pairs: Sequence[ComparedPair], published: str | None) -> None:
        """Publish the keys of a partition that is about to be published.

        Args:
            partition: its name.
            kept: version of the pairs.
            pairs: the kept pairs, in order.
            published: version of the pairs that are published now. Keys of others are removed.
        """
        for table in self._tables:
            held = [name for name in self._store.partitions(table) if name[:2] == partition]
            name = self._name(table, partition, kept)
            if name not in held:
                self._store.publish(table, name, self._rows(table, partition, pairs))
            still_read = {name, *([self._name(table, partition, published)] if published else [])}
            for outdated in set(held) - still_read:
                self._store.withdraw(table, outdated)

    @without_cyclic_gc()
    def repeatable_by(self, pairs: Sequence[ComparedPair], among: Mapping[Partition, str]) -> list[ComparedPair]:
        """Every kept pair of the partitions ``among`` that one of ``pairs`` could repeat, in the order of partitions
        and rows.

        The result is a superset: it may contain pairs that are no repeats, but misses none.

        Args:
            pairs: the new pairs.
            among: version of what is kept, by partition.

        Raises:
            KeptChangedError: a partition no longer has this version.
            StoreError: a partition cannot be read.
        """
        if not among or not pairs:
            return []
        self._make_missing(among)
        found = self._with_same_key(pairs, among)
        vectors = self._near_by_embedding(pairs, among, found)
        repeatable: list[ComparedPair] = []
        for partition, version in among.items():
            if partition in found:
                rows = np.unique(found[partition])
                kept = self._pairs_at(partition, version, rows)
                if self._embeddings is not None:
                    for row, pair in zip(rows.tolist(), kept, strict=True):
                        for kind, found_vectors in vectors[partition].get(row, {}).items():
                            self._embeddings.know(kind, pair, found_vectors)
                repeatable += kept
        return repeatable

    @cached_property
    def _connection(self) -> duckdb.DuckDBPyConnection:
        import duckdb

        connection = duckdb.connect()
        self._store.let_duckdb_read(connection)
        return connection

    def _make_missing(self, among: Mapping[Partition, str]) -> None:
        for table in self._tables:
            held = set(self._store.partitions(table))
            for partition, version in among.items():
                name = self._name(table, partition, version)
                if name not in held:
                    pairs = self._published(partition, version)
                    self._store.publish(table, name, self._rows(table, partition, pairs))

    def _rows(self, table: AnyTable, partition: Partition, pairs: Sequence[ComparedPair]) -> pa.Table:
        if table is LOOKUP_KEYS:
            keys = lookup_keys(pairs, self._settings)
            columns = [pa.array(keys[:, 0]), pa.array(keys[:, 1].astype(np.int32))]
            return pa.Table.from_arrays(columns, schema=table.schema)
        if table is LOOKUP_PAIRS:
            return LOOKUP_PAIRS.from_rows([{"pair": json.dumps(dict(pair), ensure_ascii=False)} for pair in pairs])
        self._load(partition, pairs)
        rows: list[LookupVector] = [
            {"kind": found.kind, "subject": found.subject, "row": at, "vector": found.vector.tolist()}
            for at, pair in enumerate(pairs)
            for found in self._compared(pair)
        ]
        return LOOKUP_VECTORS.from_rows(rows)

    def _published(self, partition: Partition, version: str) -> list[ComparedPair]:
        """The kept pairs of a partition."""
        data = self._store.read_all(FILTERED_PAIRS, [partition], [*EARLIER_COLUMNS, *KEPT_COLUMNS[1:]])
        if kept_version(data) != version:
            raise KeptChangedError("|".join(partition))
        return rows_of(ComparedPair, data.select(EARLIER_COLUMNS))

    def _pairs_at(self, partition: Partition, version: str, rows: Rows) -> list[ComparedPair]:
        """The kept pairs at these positions, sorted; only their row groups are read."""
        found: list[ComparedPair] = []
        try:
            with self._store.open(LOOKUP_PAIRS, self._name(LOOKUP_PAIRS, partition, version)) as file:
                ends = np.cumsum(file.rows_by_group)
                group_of = np.searchsorted(ends, rows, side="right")
                for number in np.unique(group_of).tolist():
                    start = int(ends[number]) - file.rows_by_group[number]
                    texts = file.group(number)["pair"]
                    found += (json.loads(texts[row - start].as_py()) for row in rows[group_of == number].tolist())
        except FileNotFoundError as error:
            raise KeptChangedError("|".join(partition)) from error
        return found

    def _name(self, table: AnyTable, partition: Partition, kept: str) -> Partition:
        """The name of the file about these kept pairs."""
        return (*partition, content_key(self._settings_of[table.name], kept))

    def _with_same_key(self, pairs: Sequence[ComparedPair], among: Mapping[Partition, str]) -> dict[Partition, Rows]:
        """Positions of the kept pairs that share a key with one of ``pairs``."""
        import duckdb

        wanted = pa.table({"key": pa.array(lookup_keys(pairs, self._settings)[:, 0])})
        partitions = list(among)
        names = {self._name(LOOKUP_KEYS, partition, version): None for partition, version in among.items()}
        # DuckDB treats names as patterns.
        files = [glob.escape(self._store.readable_name(LOOKUP_KEYS, name)) for name in names]
        self._connection.register("wanted", wanted)
        try:
            found = self._connection.sql(
                "SELECT DISTINCT file_index, row FROM read_parquet($files, hive_partitioning = false) "
                "SEMI JOIN wanted USING (key)",
                params={"files": files},
            ).fetchnumpy()
        except duckdb.Error as error:
            if names.keys() - set(self._store.partitions(LOOKUP_KEYS)):
                raise KeptChangedError from error
            raise StoreError(
                f"{self._store.url}/{LOOKUP_KEYS.name}: cannot be read ({error}). Delete the folder; it is made again."
            ) from error
        by_file: dict[int, Rows] = {
            number: found["row"][found["file_index"] == number].astype(np.int64)
            for number in np.unique(found["file_index"]).tolist()
        }
        return {partitions[number]: rows for number, rows in by_file.items()}

    def _near_by_embedding(
        self, pairs: Sequence[ComparedPair], among: Mapping[Partition, str], found: dict[Partition, Rows]
    ) -> dict[Partition, dict[int, dict[str, list[Vector]]]]:
        """Add the kept pairs near one of ``pairs`` to ``found``; returns the embeddings of all that are found, by row
        and kind.

        Within each subject all are compared, a partition at a time.
        """
        wanted: dict[tuple[str, str], tuple[list[Vector], float]] = {}
        for compared in (compared for pair in pairs for compared in self._compared(pair)):
            group = compared.kind, compared.subject
            wanted.setdefault(group, ([], compared.near))[0].append(compared.vector)
        of_found: dict[Partition, dict[int, dict[str, list[Vector]]]] = {}
        for partition, version in among.items() if LOOKUP_VECTORS.name in self._settings_of else ():
            data = self._store.read_all(LOOKUP_VECTORS, [self._name(LOOKUP_VECTORS, partition, version)])
            rows, vectors = data["row"].to_numpy().astype(np.int64), _vectors_of(data)
            groups = list(zip(texts_of(data, "kind"), texts_of(data, "subject"), strict=True))
            at: dict[tuple[str, str], list[int]] = {}
            for position, group in enumerate(groups):
                at.setdefault(group, []).append(position)
            near = [found.get(partition, np.empty(0, np.int64))]
            for group in at.keys() & wanted.keys():
                new, threshold = wanted[group]
                kept = np.stack([vectors[position] for position in at[group]])
                nearest = (kept @ np.stack(new).T).max(axis=1)
                near.append(rows[at[group]][nearest >= threshold - _ROUNDING])
            if len(together := np.unique(np.concatenate(near))):
                found[partition] = together
            of_rows = of_found[partition] = {}
            for position in np.flatnonzero(np.isin(rows, together)).tolist():
                of_row = of_rows.setdefault(int(rows[position]), {})
                of_row.setdefault(groups[position][0], []).append(vectors[position])
        return of_found

    def _compared(self, pair: ComparedPair) -> Iterator[_Compared]:
        """The embeddings by which a pair is compared."""
        if self._embeddings is None:
            return
        subject, text, images = (
            subject_key(pair),
            self._settings.semantic_text,
            self._settings.embedded_images,
        )
        if text is not None and (prompt := self._embeddings.prompt(pair)) is not None:
            yield _Compared("prompt", subject, prompt, text.near_prompt)
        if text is not None and (answer := self._embeddings.answer(pair)) is not None:
            yield _Compared("answer", subject, answer, text.near_answer)
        if images is not None:
            for image in self._embeddings.images(pair):
                yield _Compared("image", subject, image, images.near_image)


def _vectors_of(data: pa.Table) -> list[Vector]:
    """The vectors of a ``lookup_vectors`` table. Those of texts and images may differ in width."""
    lengths = pc.list_value_length(data["vector"]).to_numpy()
    return np.split(pc.list_flatten(data["vector"]).to_numpy(), np.cumsum(lengths)[:-1]) if data.num_rows else []
