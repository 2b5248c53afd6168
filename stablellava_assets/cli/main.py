"""The ``stablellava`` command: what people do beside Dagster."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from threading import Event
from typing import NoReturn

import click

from stablellava_assets.cli.ask import ask
from stablellava_assets.cli.command_group import CommandGroup
from stablellava_assets.cli.export import export
from stablellava_assets.cli.photographs import photographs
from stablellava_assets.endpoint.local_server import (
    DEFAULT_PORT,
    LOCAL_MODEL,
    LocalServerOptions,
    serve,
)
from stablellava_assets.exports.selection import chosen_partitions
from stablellava_assets.profiles.profile import load_profile
from stablellava_assets.profiles.workspace import Workspace


@click.group(cls=CommandGroup)
def main() -> None:
    """Inspect and export what the pipeline made."""


@main.command()
def demo() -> None:
    """Run one batch of every ability through the whole graph and print the scores."""
    from stablellava_assets.cli.demo import run_demo

    run_demo(_workspace())


@main.command()
def scores() -> None:
    """Print the scores of the current checkpoint, one row per ability."""
    from stablellava_assets.cli.demo import current_scores

    click.echo(current_scores(_workspace()))


@main.command()
@click.argument("abilities", nargs=-1)
@click.option(
    "--batch",
    "batches",
    multiple=True,
    help="Batch to plan, such as 0002; repeatable. [the next one of each ability]",
)
def plan(abilities: tuple[str, ...], batches: tuple[str, ...]) -> None:
    """Print the requests to paid models in a run, and their cost, without sending any.

    ABILITIES are the abilities to plan; the default is all. Published rows cost nothing. If the profile sizes batches by
    the last scores (planning), the sizes are printed first.
    """
    from stablellava_assets.cli.spending import budget_lines, foreseen_plans, spending_plan, spending_table
    from stablellava_assets.planning.plan_table import plan_table

    workspace = _workspace()
    known = workspace.taught
    for name in abilities:
        if name not in known:
            _fail(f"no ability {name!r}; this profile has {', '.join(known)}")
    for batch in batches:
        if batch not in workspace.profile.batch_keys:
            _fail(f"no batch {batch!r}; this profile has 0001 to {workspace.profile.batch_keys[-1]}")
    upcoming = {} if batches else workspace.upcoming()
    partitions = [
        (ability, batch)
        for ability in abilities or known
        for batch in batches or ([upcoming[ability]] if ability in upcoming else [])
    ]
    if not partitions:
        click.echo(f"All {workspace.profile.batches} batches are done; raise `batches` in the profile.")
    for sizes in foreseen_plans(workspace, partitions):
        if sizes.rows:
            click.echo(f"Prompts per ability in batch {sizes.batch}:\n{plan_table(sizes, markdown=False)}\n")
    if plans := spending_plan(workspace, partitions):
        click.echo(spending_table(plans))
    click.echo(budget_lines(workspace))


@main.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--ability", "abilities", multiple=True, help="Ability to show; repeatable. [all]")
@click.option("--batch", "batches", multiple=True, help="Batch to show, such as 0002; repeatable. [all]")
def gallery(folder: Path, abilities: tuple[str, ...], batches: tuple[str, ...]) -> None:
    """Write a page with every pair, kept and rejected, to FOLDER. It opens as a file.

    The page that filtered_pairs publishes in data/gallery shows a sample of each batch.
    """
    from stablellava_assets.gallery.folder import Gallery

    workspace = _workspace()
    page = Gallery(folder, workspace.store, workspace.profile.filters, workspace.profile.gallery, every_pair=True)
    partitions = chosen_partitions(workspace.store, abilities, batches)
    written = page.publish(partitions)
    click.echo(f"{page.page}: {len(partitions)} batches, {written} of them rewritten")


@main.command()
@click.option("--checkpoint", help="Id of the checkpoint. [the current one]")
def report(checkpoint: str | None) -> None:
    """Recreate the report on a checkpoint from the current tables, and print its path.

    ability_scores publishes it as well.
    """
    click.echo(_workspace().report.publish(checkpoint))


main.add_command(export)
main.add_command(ask)
main.add_command(photographs)


@main.command()
@click.argument("sql")
def query(sql: str) -> None:
    """Run SQL on the DuckDB warehouse, read-only; waits while a run writes to it."""
    from stablellava_assets.cli.query_output import aligned

    click.echo(aligned(_workspace().warehouse.query(sql)))


@main.command()
@click.argument("name", required=False)
@click.option(
    "--rows", "most", default=20, show_default=True, type=click.IntRange(min=1), help="Maximum number of rows per file."
)
def quarantine(name: str | None, most: int) -> None:
    """List the partitions that failed their checks; with NAME, show the rows of one with their reasons.

    NAME is a name in the list, or the beginning of one: images, images/animal-0001, or the path of a file.
    """
    from stablellava_assets.checks.quarantine import quarantine_list, quarantined_rows

    kept = _workspace().quarantine
    if name is None:
        click.echo(quarantine_list(kept.entries()) or "The quarantine is empty.")
        return
    found = kept.find(name)
    if not found:
        _fail(f"no file in quarantine is called {name!r}; `stablellava quarantine` lists all of them")
    click.echo("\n\n".join(quarantined_rows(entry, most) for entry in found))


@main.command()
def rebuild_warehouse() -> None:
    """Rebuild the warehouse from the Parquet tables."""
    for table, partitions in _workspace().warehouse.rebuild().items():
        click.echo(f"{table:<20} {partitions:>6} partitions")


@main.command()
def describe_tables() -> None:
    """Print the reference of every table as Markdown."""
    from stablellava_assets.tables.reference import tables_reference

    click.echo(tables_reference())


@main.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
def inspect_released(folder: Path) -> None:
    """Report on the contents of a FOLDER with StableLLaVA's published JSON files."""
    from stablellava_assets.cli.released_report import inspect_released, released_table

    click.echo(released_table(inspect_released(folder)))


@main.command()
@click.option(
    "--port",
    default=DEFAULT_PORT,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="Port on this machine.",
)
@click.option("--slots", default=LocalServerOptions.slots, show_default=True, help="Concurrent requests.")
@click.option("--threads", default=LocalServerOptions.threads, show_default=True, help="Processor threads.")
@click.option("--model", type=click.Path(exists=True, dir_okay=False), help="GGUF file to serve instead of SmolLM2.")
def serve_local_llm(port: int, slots: int, threads: int, model: str | None) -> None:
    """Serve SmolLM2 to the chat author of profile local-llm until Ctrl+C."""
    server = serve(LocalServerOptions(port=port, slots=slots, threads=threads, model_path=model))
    click.echo(f"{LOCAL_MODEL} answers at {server.listening_address}/v1 (Ctrl+C ends it)")
    with suppress(KeyboardInterrupt):
        Event().wait()


def _workspace() -> Workspace:
    return Workspace(load_profile())


def _fail(message: str) -> NoReturn:
    raise click.ClickException(message)
