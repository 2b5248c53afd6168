"""``stablellava inspect-released``: what StableLLaVA published."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
def inspect_released(folder: Path) -> None:
    """Report on the contents of a FOLDER with StableLLaVA's published JSON files."""
    from stablellava_assets.cli.released_report import inspect_released, released_table

    click.echo(released_table(inspect_released(folder)))
