"""``stablellava demo`` and ``scores``."""

from __future__ import annotations

import click

from stablellava_assets.profiles.workspace import workspace_of_environment


@click.command()
@click.option(
    "--only", metavar="ABILITY", help="One ability: only it is made and scored, and tuning goes on from what there is."
)
def demo(only: str | None) -> None:
    """Run one batch of every ability through the whole graph and print the scores."""
    from stablellava_assets.cli.demo import run_demo

    run_demo(workspace_of_environment(), only)


@click.command()
def scores() -> None:
    """Print the scores of the current checkpoint, one row per ability."""
    from stablellava_assets.cli.demo import current_scores

    workspace = workspace_of_environment()
    click.echo(current_scores(workspace.store, workspace.profile.benchmark.wanted_gain))
