"""Access of stages to the published tables."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import pyarrow as pa

from stablellava_assets.checks.gates import GateSettings
from stablellava_assets.checks.quarantine import Quarantine
from stablellava_assets.state.locks import Locks
from stablellava_assets.tables.encoded_images import EncodedImages, bytes_of_images, images_of_partitions
from stablellava_assets.tables.schemas import ABILITY_BENCHMARK
from stablellava_assets.tables.store import ParquetStore, Partition, StoreError
from stablellava_assets.tables.table import AnyTable
from stablellava_assets.tables.warehouse import Warehouse, WarehouseError


@dataclass(frozen=True)
class Tables:
    """The published tables of a profile, and the local state of stages.

    Attributes:
        store: the Parquet tables.
        warehouse: their copy in DuckDB.
        journal: folder of finished rows that are not published yet.
        locks: locks of partitions.
        quarantine: the rows that gates refused.
        gates: the profile's thresholds.
        first_batch: the first batch of every ability, as a range of partitions, for error
            messages; None if there is none.
        check_storage: finds out before any work starts whether results can be published.
    """

    store: ParquetStore
    warehouse: Warehouse
    journal: Path
    locks: Locks
    quarantine: Quarantine
    gates: GateSettings
    first_batch: str | None
    check_storage: Callable[[], None] = lambda: None

    def upstream(self, table: AnyTable) -> Published:
        """An upstream table, with its currently published partitions."""
        return Published(self.store, table, self.store.partitions(table), self.first_batch)

    def sync_warehouse(self, tables: Sequence[AnyTable], log: dg.DagsterLogManager) -> None:
        """Copy tables into the warehouse. If that fails, log a warning; a later stage will catch up."""
        try:
            self.warehouse.sync(tables)
        except (WarehouseError, StoreError) as error:
            log.warning(f"the warehouse is behind the tables, which are published: {error}")


class Published:
    """The published rows of an upstream table, read lazily by partition."""

    def __init__(
        self, store: ParquetStore, table: AnyTable, partitions: Sequence[Partition], first_batch: str | None
    ) -> None:
        self._store = store
        self._table = table
        self._first_batch = first_batch
        self.partitions = partitions

    def read(self, partition: Partition, columns: Sequence[str] | None = None) -> pa.Table:
        """The rows of one partition.

        Raises:
            dagster.Failure: it was never materialized.
        """
        data = self._store.read(self._table, partition, columns)
        if data is None:
            raise self._missing(partition)
        return data

    def read_all(self, columns: Sequence[str] | None = None) -> pa.Table:
        """The rows of every published partition.

        Raises:
            dagster.Failure: none was materialized.
        """
        self.require()
        return self._store.read_all(self._table, self.partitions, columns)

    def require(self) -> None:
        """See that anything is published.

        Raises:
            dagster.Failure: nothing was materialized.
        """
        if not self.partitions:
            raise self._missing(())

    @property
    def images(self) -> EncodedImages:
        """The images of every published partition, of which a few megabytes are in memory at a time."""
        return images_of_partitions(self._store, self._table, self.partitions)

    def bytes_of_images(self, wanted: Collection[str]) -> int:
        """About how many bytes the images of these rows have, without reading them."""
        return bytes_of_images(self._store, self._table, self.partitions, wanted)

    def _missing(self, partition: Partition) -> dg.Failure:
        """The error for materializing an asset before its upstream."""
        what, key = self._table.name, "|".join(partition)
        if partition:
            what, option = f"{what} for partition {key}", f" --partition '{key}'"
        elif self._table is ABILITY_BENCHMARK or self._first_batch is None:
            option = ""  # Nothing that it is made from has partitions.
        else:
            option = f" --partition-range '{self._first_batch}'"
        return dg.Failure(
            description=f"{what} has not been materialized yet. Build it with:\n"
            f"  dagster asset materialize --select '*{self._table.name}'{option}\n"
            "or build everything with `make demo`.",
            allow_retries=False,
        )
