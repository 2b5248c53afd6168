"""``stablellava new-ability`` and ``check-ability``: a file for an ability of one's own, and what is made of it."""

from __future__ import annotations

import re

import click

from stablellava_assets.abilities.multi_image import MultiImageAbility
from stablellava_assets.inputs.explained import ExplainedError
from stablellava_assets.profiles.workspace import Workspace, workspace_of_environment
from stablellava_assets.tables.files import publish_file

_EXAMPLE = ("guitar", "violin", "trumpet", "saxophone", "drum=🥁", "piano=🎹", "accordion", "banjo")
_FEWEST = 5
"""The guidance for a chat model wants so many."""
_PICTURES_OF_EACH_KIND = 8
_CAPTION_LINES = 4


@click.command("new-ability")
@click.argument("name")
@click.argument("subjects", nargs=-1, metavar="[SUBJECT[=EMOJI]]...")
def new_ability(name: str, subjects: tuple[str, ...]) -> None:
    """Begin an ability of your own: write NAME.yaml, whose comments say what to change, and check it.

    A SUBJECT is what a picture shows, drawn with the emoji of that name, or with the EMOJI behind an equals sign. Name
    five or more; without any, the file holds musical instruments as an example.
    """
    from stablellava_assets.abilities.new_ability import draft

    if not re.fullmatch(r"[a-z][a-z0-9_]{0,39}", name):
        raise click.ClickException(f"{name}: a name begins with a small letter, and small letters, digits and _ follow")
    workspace = workspace_of_environment()
    if name in workspace.catalog:
        raise click.ClickException(f"{name}: there is an ability of this name; choose another")
    if subjects and len(subjects) < _FEWEST:
        raise click.ClickException(f"name {_FEWEST} subjects or more, for instance: {' '.join(_EXAMPLE)}")
    sprites = dict(_drawn(subject) for subject in subjects or _EXAMPLE)
    path = workspace.profile.own_abilities / f"{name}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(draft(name, sprites, workspace.catalog), encoding="utf-8")
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
    from stablellava_assets.pictures.contact_sheet import contact_sheet

    ability, painter = workspace.catalog[name], workspace.painter
    if isinstance(ability, MultiImageAbility):
        click.echo(
            f"{name}: {ability.images.count} pictures of {', '.join(ability.sources)}; nothing in the file is wrong"
        )
        return
    planned = plan_items(ability, _PICTURES_OF_EACH_KIND, painter)
    click.echo(f"{name}: {len(ability.drawn_subjects)} subjects, {len(ability.answers)} answers")
    for item in planned[::_PICTURES_OF_EACH_KIND]:
        question = item.inputs.question
        click.echo(f"  {question['prompt']}\n    {question['question']} ({question['accepted'][0]})")
    if workspace.profile.painter.kind != "embedded":
        return
    cells = [
        (image["bytes"], f"{item['question']}\n= {item['accepted'][0]}")
        for item in make_items(planned, painter)
        if (image := item["image"]) is not None
    ]
    path = workspace.folder.contact_sheets / f"{name}.jpg"
    path.parent.mkdir(parents=True, exist_ok=True)
    publish_file(path, contact_sheet(cells, _PICTURES_OF_EACH_KIND, _CAPTION_LINES))
    click.echo(f"{path}: {len(cells)} pictures with their questions")
