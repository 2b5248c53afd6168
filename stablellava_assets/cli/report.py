"""``stablellava report``: the report on a checkpoint."""

from __future__ import annotations

import click

from stablellava_assets.profiles.workspace import workspace_of_environment


@click.command()
@click.option("--checkpoint", help="Id of the checkpoint. [the current one]")
def report(checkpoint: str | None) -> None:
    """Recreate the report on a checkpoint from the current tables, and print its path.

    ability_scores publishes it as well.
    """
    click.echo(workspace_of_environment().report.publish(checkpoint))
