"""``stablellava query``, ``rebuild-warehouse`` and ``describe-tables``."""

from __future__ import annotations

import click

from stablellava_assets.profiles.workspace import workspace_of_environment


@click.command()
@click.argument("sql")
def query(sql: str) -> None:
    """Run SQL on the DuckDB warehouse, which first copies what it lacks; waits while a run writes to it."""
    from stablellava_assets.cli.query_output import aligned
    from stablellava_assets.tables.store import StoreError
    from stablellava_assets.tables.warehouse import WarehouseError

    warehouse = workspace_of_environment().warehouse
    try:
        warehouse.catch_up()
    except (WarehouseError, StoreError) as error:
        if not warehouse.path.exists():
            raise
        click.echo(f"The answer is of an earlier state of the tables: {error}", err=True)
    click.echo(aligned(warehouse.query(sql)))


@click.command()
def rebuild_warehouse() -> None:
    """Rebuild the warehouse from the Parquet tables."""
    for table, partitions in workspace_of_environment().warehouse.rebuild().items():
        click.echo(f"{table:<20} {partitions:>6} partitions")


@click.command()
def describe_tables() -> None:
    """Print the reference of every table as Markdown."""
    from stablellava_assets.tables.reference import tables_reference

    click.echo(tables_reference())
