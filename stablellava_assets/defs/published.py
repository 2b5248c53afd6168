"""How assets read what is upstream of them: straight from the Parquet store, with an error that says what to run."""

from __future__ import annotations

from collections.abc import Sequence

import dagster as dg
import pyarrow as pa

from stablellava_assets.profiles.workspace import Workspace
from stablellava_assets.tables.schemas import ABILITY_BENCHMARK, TABLES
from stablellava_assets.tables.store import Partition
from stablellava_assets.tables.table import Table

_TABLES = {table.name: table for table in TABLES}


class Published:
    """The published rows of an upstream table, read a partition at a time when asked for."""

    def __init__(self, workspace: Workspace, table: Table, partitions: Sequence[Partition]) -> None:
        self._workspace = workspace
        self._table = table
        self.partitions = partitions

    def read(self, partition: Partition, columns: Sequence[str] | None = None) -> pa.Table:
        """The rows of one partition.

        Raises:
            dagster.Failure: it was never materialized.
        """
        data = self._workspace.store.read(self._table, partition, columns)
        if data is None:
            raise self._missing(partition)
        return data

    def read_all(self, columns: Sequence[str] | None = None) -> pa.Table:
        """The rows of every partition that was materialized; those that never were are left out.

        Raises:
            dagster.Failure: none was.
        """
        if not self.partitions:
            raise self._missing(())
        return self._workspace.store.read_all(self._table, self.partitions, columns)

    def _missing(self, partition: Partition) -> dg.Failure:
        """What a person reads who materializes an asset before what it is made from."""
        what, key = self._table.name, "|".join(partition)
        if partition:
            what, option = f"{what} for partition {key}", f" --partition '{key}'"
        elif self._table is ABILITY_BENCHMARK:
            option = ""  # Nothing that it is made from has partitions.
        else:
            option = f" --partition-range '{self._workspace.first_batch}'"
        return dg.Failure(
            description=f"{what} has not been materialized yet. Build it with:\n"
            f"  dagster asset materialize --select '*{self._table.name}'{option}\n"
            "or build everything with `make demo`.",
            allow_retries=False,
        )


class PublishedTables(dg.IOManager):
    """Hands each asset its upstream tables. Stages publish their own rows, a partition at a time."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def handle_output(self, context: dg.OutputContext, obj: object) -> None:
        """Refuses a value: a stage publishes through the store and returns metadata alone."""
        raise dg.DagsterInvariantViolationError(f"{context.asset_key.to_user_string()} returned a value; publish it")

    def load_input(self, context: dg.InputContext) -> Published:
        """The upstream table, with the partitions that are published now."""
        table = _TABLES[context.asset_key.to_user_string()]
        return Published(self._workspace, table, self._workspace.store.partitions(table))
