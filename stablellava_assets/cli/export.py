"""``stablellava export``: kept pairs as other programs read them."""

from __future__ import annotations

import click

from stablellava_assets.exports.export import FORMATS, export_pairs
from stablellava_assets.exports.selection import chosen_partitions
from stablellava_assets.exports.splits import read_splits
from stablellava_assets.profiles.workspace import workspace_of_environment


@click.command()
@click.argument("format_name", metavar="FORMAT", type=click.Choice(sorted(FORMATS)))
@click.argument("destination")
@click.option("--ability", "abilities", multiple=True, help="Ability to export; repeatable. [all]")
@click.option("--batch", "batches", multiple=True, help="Batch to export, such as 0002; repeatable. [all]")
@click.option(
    "--split",
    "written",
    multiple=True,
    help="Share of the prompts, such as validation=0.05; repeatable; the rest is train.",
)
@click.option("--replace", is_flag=True, help="Replace an earlier export in DESTINATION.")
def export(
    format_name: str,
    destination: str,
    abilities: tuple[str, ...],
    batches: tuple[str, ...],
    written: tuple[str, ...],
    replace: bool,
) -> None:
    """Write the kept pairs to a new folder or URL DESTINATION, as llava, huggingface or webdataset reads them."""
    workspace = workspace_of_environment()
    partitions = chosen_partitions(workspace.store, abilities, batches)
    settled = workspace.settling.settle(workspace.store, partitions)
    if settled.notice is not None:
        click.echo(settled.notice, err=True)
    exported = export_pairs(format_name, settled.store, partitions, destination, read_splits(written), replace=replace)
    sizes = ", ".join(f"{count:,} {split}" for split, count in exported.splits.items())
    click.echo(f"{destination}: {exported.pairs:,} pairs ({sizes})")
    for reason, count in exported.left_out.items():
        click.echo(f"left out: {count:,} pairs, each of which {reason}")
