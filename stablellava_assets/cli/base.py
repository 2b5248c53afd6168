"""``stablellava base``: the base of the embedded model that comes with the package."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from stablellava_assets.profiles.workspace import workspace_of_environment
from stablellava_assets.tuning.embedded import shipped
from stablellava_assets.tuning.settings import TuningSettings

if TYPE_CHECKING:
    from stablellava_assets.tuning.embedded.base import BaseRecipe

_SPREAD = 0.01
"""Difference in the share of words said right that another kind of processor or another seed makes."""


@click.group()
def base() -> None:
    """Make the base model that comes with the package, and prove that it is what its recipe makes."""


@base.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), required=False)
def make(folder: Path | None) -> None:
    """Train the base of this profile's catalog, painter and settings, and write its weights to FOLDER.

    By default, FOLDER is where the package looks for them. The weights have to be made anew when the package's own
    catalog, painter or settings change.
    """
    recipe = _recipe()
    model, _ = recipe.trained(click.echo)
    path = shipped.write_weights(model, recipe.key, folder or shipped.FOLDER)
    click.echo(f"{path}: {path.stat().st_size / 1e6:.1f} MB")


@base.command()
def prove() -> None:
    """Train the base anew and compare it with the one that comes with the package.

    On the kind of processor that made it, the weights are the same. On another, both say equally many words right.
    """
    recipe = _recipe()
    ours = recipe.shipped(click.echo)
    if ours is None:
        raise click.ClickException(
            f"the package has no base {recipe.key}, which this catalog, painter and these settings lead to; "
            "it is made by `stablellava base make`"
        )
    anew = recipe.trained(click.echo)
    same = shipped.same_weights(ours[0], anew[0])
    scores = [recipe.examined(*each) for each in (ours, anew)]
    click.echo(
        f"words said right about images that no base has seen: {scores[0]:.4f} by the base of the package, "
        f"{scores[1]:.4f} by the one made anew; their weights are {'the same' if same else 'different'}"
    )
    if not same and abs(scores[0] - scores[1]) > _SPREAD:
        raise click.ClickException(f"the bases differ by more than {_SPREAD}; the recipe is another one")


def _recipe() -> BaseRecipe:
    from stablellava_assets.tuning.embedded.base import BaseRecipe

    workspace = workspace_of_environment()
    settings = workspace.profile.tuning
    if not isinstance(settings, TuningSettings):
        raise click.ClickException("tuning.model.kind: only the embedded model has a base that is made here")
    return BaseRecipe(settings, workspace.catalog.without_own, workspace.painter)
