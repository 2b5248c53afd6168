"""``stablellava contamination``: what training data shares with benchmarks."""

from __future__ import annotations

import click

from stablellava_assets.profiles.workspace import workspace_of_environment


@click.command()
def contamination() -> None:
    """Print how many training images and questions are those of a benchmark, one row per benchmark.

    Of what filtered_pairs found when it was last materialized; batches that were filtered before a benchmark was in the
    profile are named.
    """
    from stablellava_assets.filters.contamination import contamination_report
    from stablellava_assets.text.tables import aligned_table

    workspace = workspace_of_environment()
    report = contamination_report(workspace.store, workspace.profile.benchmark_files)
    if not report.overlaps and not report.uncompared:
        raise click.ClickException("nothing has been filtered yet; run `make demo`")
    header = ("benchmark", "items", "images", "like items", "questions", "like items")
    rows = [(each.benchmark, *(f"{count:,}" for count in each.counts)) for each in report.overlaps]
    click.echo(aligned_table(header, rows, left=(0,)))
    for notice in report.notices:
        click.echo(notice)
