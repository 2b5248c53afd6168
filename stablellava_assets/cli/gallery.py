"""``stablellava gallery``: every pair on a page."""

from __future__ import annotations

from pathlib import Path

import click

from stablellava_assets.exports.selection import chosen_partitions
from stablellava_assets.profiles.workspace import workspace_of_environment


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--ability", "abilities", multiple=True, help="Ability to show; repeatable. [all]")
@click.option("--batch", "batches", multiple=True, help="Batch to show, such as 0002; repeatable. [all]")
def gallery(folder: Path, abilities: tuple[str, ...], batches: tuple[str, ...]) -> None:
    """Write a page with every pair, kept and rejected, to FOLDER. It opens as a file.

    The page that filtered_pairs publishes in data/gallery shows a sample of each batch.
    """
    from stablellava_assets.gallery.folder import Gallery

    workspace = workspace_of_environment()
    page = Gallery(folder, workspace.store, workspace.profile.filters, workspace.profile.gallery, every_pair=True)
    partitions = chosen_partitions(workspace.store, abilities, batches)
    written = page.publish(partitions)
    click.echo(f"{page.page}: {len(partitions)} batches, {written} of them rewritten")
