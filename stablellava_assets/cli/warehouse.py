"""``stablellava query``, ``rebuild-warehouse`` and ``describe-tables``."""

from __future__ import annotations

import click

from stablellava_assets.profiles.workspace import workspace_of_environment


@click.command()
@click.argument("sql")
def query(sql: str) -> None:
    """Run SQL on the DuckDB warehouse, read-only; waits while a run writes to it."""
    from stablellava_assets.cli.query_output import aligned

    click.echo(aligned(workspace_of_environment().warehouse.query(sql)))


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
