"""``stablellava quarantine``: the rows that gates refused."""

from __future__ import annotations

import click

from stablellava_assets.profiles.workspace import workspace_of_environment


@click.command()
@click.argument("name", required=False)
@click.option(
    "--rows", "most", default=20, show_default=True, type=click.IntRange(min=1), help="Maximum number of rows per file."
)
def quarantine(name: str | None, most: int) -> None:
    """List the partitions that failed their checks; with NAME, show the rows of one with their reasons.

    NAME is a name in the list, or the beginning of one: images, images/animal-0001, or the path of a file.
    """
    from stablellava_assets.checks.quarantine import quarantine_list, quarantined_rows

    kept = workspace_of_environment().quarantine
    if name is None:
        click.echo(quarantine_list(kept.entries()) or "The quarantine is empty.")
        return
    found = kept.find(name)
    if not found:
        raise click.ClickException(
            f"no file in quarantine is called {name!r}; `stablellava quarantine` lists all of them"
        )
    click.echo("\n\n".join(quarantined_rows(entry, most) for entry in found))
