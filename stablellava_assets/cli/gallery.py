"""``stablellava gallery``: every pair on a page."""

from __future__ import annotations

import click

from stablellava_assets.cli.folder_or_url import FolderOrUrl
from stablellava_assets.exports.selection import chosen_partitions
from stablellava_assets.profiles.workspace import workspace_of_environment
from stablellava_assets.tables.places import place_at


@click.command()
@click.argument("folder", type=FolderOrUrl())
@click.option("--ability", "abilities", multiple=True, help="Ability to show; repeatable. [all]")
@click.option("--batch", "batches", multiple=True, help="Batch to show, such as 0002; repeatable. [all]")
def gallery(folder: str, abilities: tuple[str, ...], batches: tuple[str, ...]) -> None:
    """Write a page with every pair, kept and rejected, to FOLDER, which may be a URL. It opens as a file.

    The page that filtered_pairs publishes shows a sample of each batch.
    """
    from stablellava_assets.gallery.folder import Gallery

    workspace = workspace_of_environment()
    place = place_at(folder, "FOLDER")
    page = Gallery(place, workspace.store, workspace.profile.filters, workspace.profile.gallery, every_pair=True)
    partitions = chosen_partitions(workspace.store, abilities, batches)
    written = page.publish(partitions)
    click.echo(f"{page.page}: {len(partitions)} batches, {written} of them rewritten")
