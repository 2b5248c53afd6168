"""``stablellava new-ability`` and ``check-ability``: a file for an ability of one's own, and what is made of it."""

from __future__ import annotations

import re
from collections.abc import Sequence

import click

from stablellava_assets.abilities.catalog import Catalog
from stablellava_assets.abilities.multi_image import ORDINALS, MultiImageAbility
from stablellava_assets.evaluation.item_captions import accepted, asked, asked_and_accepted
from stablellava_assets.inputs.explained import ExplainedError
from stablellava_assets.profiles.workspace import Workspace, workspace_of_environment
from stablellava_assets.tables.files import publish_file

_EXAMPLE = ("guitar", "violin", "trumpet", "saxophone", "drum=🥁", "piano=🎹", "accordion", "banjo")
_FEWEST = 5
"""The guidance for a chat model wants so many."""
_ITEMS_OF_EACH_KIND = 8
_COLUMNS = 8
_CAPTION_LINES = 5
_SOURCES = 6
"""Abilities that a draft names by default."""


@click.command("new-ability")
@click.argument("name")
@click.argument("shown", nargs=-1, metavar="[SUBJECT[=EMOJI]]... | [ABILITY]...")
@click.option(
    "--images",
    type=click.IntRange(2, len(ORDINALS)),
    help="So many pictures at once, which are those of other abilities: name these in place of subjects.",
)
def new_ability(name: str, shown: tuple[str, ...], images: int | None) -> None:
    """Begin an ability of your own: write NAME.yaml, whose comments say what to change, and check it.

    A SUBJECT is what a picture shows, drawn with the emoji of that name, or with the EMOJI behind an equals sign. Name
    five or more; without any, the file holds musical instruments as an example.

    With --images, the ability compares pictures: each group is of one ABILITY about single pictures, by default one of
    those with subjects enough.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,39}", name):
        raise click.ClickException(f"{name}: a name begins with a small letter, and small letters, digits and _ follow")
    workspace = workspace_of_environment()
    if name in workspace.catalog:
        raise click.ClickException(f"{name}: there is an ability of this name; choose another")
    written = _about_one(name, shown, workspace.catalog) if images is None else _about(images, name, shown, workspace)
    path = workspace.profile.own_abilities / f"{name}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(written, encoding="utf-8")
    try:
        _show(workspace_of_environment(), name)
    except ExplainedError as error:
        raise click.ClickException(f"{path} is written, and has to be changed:\n{error}") from None
    click.echo(
        f"\n{path} is written; its comments say what each part is for. After a change:\n"
        f"  stablellava check-ability {name}\n"
        "Make it, tune on it and score it:\n"
        f"  stablellava demo --only {name}"
    )


@click.command("check-ability")
@click.argument("name")
def check_ability(name: str) -> None:
    """Check the file of ability NAME, and show questions and pictures that are made of it."""
    workspace = workspace_of_environment()
    if name not in workspace.catalog:
        raise click.ClickException(
            f"{name}: there is no such ability; there are {', '.join(workspace.catalog)}. `stablellava new-ability "
            f"{name}` begins one"
        )
    _show(workspace, name)


def _about_one(name: str, subjects: Sequence[str], catalog: Catalog) -> str:
    from stablellava_assets.abilities.new_ability import draft

    if subjects and len(subjects) < _FEWEST:
        raise click.ClickException(f"name {_FEWEST} subjects or more, for instance: {' '.join(_EXAMPLE)}")
    return draft(name, dict(_drawn(subject) for subject in subjects or _EXAMPLE), catalog)


def _about(count: int, name: str, abilities: Sequence[str], workspace: Workspace) -> str:
    from stablellava_assets.abilities.new_ability import draft_of_groups, sources_for

    able = sources_for(count, workspace.catalog)
    if unusable := [ability for ability in abilities if ability not in able]:
        raise click.ClickException(
            f"{unusable[0]}: no ability about single pictures with {count} subjects for any scene; these are "
            f"{', '.join(able) or 'none'}"
        )
    if not able:
        raise click.ClickException(f"no ability has {count} subjects that any scene can show; name fewer --images")
    return draft_of_groups(name, count, abilities or able[:_SOURCES], workspace.catalog)


def _drawn(subject: str) -> tuple[str, str]:
    """A subject and its emoji."""
    from stablellava_assets.painters.embedded.sprites import named_sprites

    name, _, sprite = subject.partition("=")
    if sprite:
        return name, sprite
    found = named_sprites(name)
    if len(found) == 1:
        return name, found[0]
    if not found:
        raise click.ClickException(f"{name}: no emoji has this name; write {name}=EMOJI")
    raise click.ClickException(f"{name}: several emoji are called so; write {name}= and one of {' '.join(found)}")


def _show(workspace: Workspace, name: str) -> None:
    """Print a prompt and a question of each kind of an ability; where painting is free, show pictures of it.

    Raises:
        ExplainedError: something does not fit.
    """
    from stablellava_assets.evaluation.benchmark import make_items, plan_items
    from stablellava_assets.pictures.contact_sheet import Cell, contact_sheet

    ability, painter = workspace.catalog[name], workspace.painter
    planned = plan_items(ability, _ITEMS_OF_EACH_KIND, painter)
    if isinstance(ability, MultiImageAbility):
        click.echo(f"{name}: {ability.images.count} pictures of {', '.join(ability.sources)}")
    else:
        click.echo(f"{name}: {len(ability.drawn_subjects)} subjects, {len(ability.answers)} answers")
    for item in planned[::_ITEMS_OF_EACH_KIND]:
        question = item.inputs.question
        prompts = question["prompt"].replace("\n", "\n  ")
        click.echo(f"  {prompts}\n    {' '.join(asked(question))} ({accepted(question)})")
    if workspace.profile.painter.kind != "embedded":
        return
    cells: list[Cell] = [
        ([each["bytes"] for each in (image, *(item["further_images"] or ()))], asked_and_accepted(item))
        for item in make_items(planned, painter)
        if (image := item["image"]) is not None
    ]
    path = workspace.folder.contact_sheets / f"{name}.jpg"
    path.parent.mkdir(parents=True, exist_ok=True)
    publish_file(path, contact_sheet(cells, _COLUMNS, _CAPTION_LINES))
    click.echo(f"{path}: {len(cells)} questions with their pictures")
