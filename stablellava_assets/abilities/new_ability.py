"""Drafts the file of a new ability."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stablellava_assets.abilities.ability import Ability
from stablellava_assets.abilities.catalog import Catalog
from stablellava_assets.abilities.multi_image import CARDINALS, listed, ordinals
from stablellava_assets.abilities.prompt_format import prompt_of

_SCENES = 6
_SUBJECTS = 8
_EXAMPLES = 3


def draft(name: str, sprites: Mapping[str, str], catalog: Catalog) -> str:
    """A commented YAML file for the ability ``name``, complete as it is.

    Args:
        name: the name of the ability.
        sprites: the emoji of each subject.
        catalog: the abilities whose scenes can be used.
    """
    return _rendered("new_ability.yaml.jinja", name, subjects=sprites, scenes=_scenes_without(sprites, catalog))


def sources_for(count: int, catalog: Catalog) -> list[str]:
    """The abilities whose subjects groups of ``count`` images can compare, those with the most subjects first."""
    subjects = {name: len(_comparable(ability)) for name, ability in catalog.single.items()}
    return sorted((name for name in subjects if subjects[name] >= count), key=lambda name: -subjects[name])


def draft_of_groups(name: str, count: int, sources: Sequence[str], catalog: Catalog) -> str:
    """A commented YAML file for the ability ``name`` about groups of ``count`` images, complete as it is.

    Args:
        name: the name of the ability.
        count: the number of images in a group, 2 to 6.
        sources: the abilities whose subjects are shown, one or more.
        catalog: holds them.
    """
    source = catalog.single[sources[0]]
    subjects = _comparable(source)[:_SUBJECTS]
    shown = [[subjects[(at + offset) % len(subjects)] for offset in range(count)] for at in range(_EXAMPLES)]
    said_of = [[source.subject_named(subject).with_article() for subject in group] for group in shown]
    places = source.prompts.scenes or ["meadow"]
    return _rendered(
        "new_group_ability.yaml.jinja",
        name,
        count=count,
        number=CARDINALS[count - 1],
        ordinals=ordinals(count),
        abilities=sources,
        subjects=subjects,
        examples=[
            [
                prompt_of(subject, [places[at % len(places)], "soft light", "realistic", "highly detailed"])
                for at, subject in enumerate(group)
            ]
            for group in shown
        ],
        answers=[f"They show {listed(said)}." for said in said_of],
    )


def _comparable(ability: Ability) -> list[str]:
    """The subjects that can be shown in any scene; none of colored things, which are compared by their color."""
    return [] if ability.tinted else ability.subjects_for_any_scene


def _rendered(template: str, name: str, **values: Any) -> str:
    import jinja2

    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True, autoescape=False)
    text = Path(__file__).with_name(template).read_text(encoding="utf-8")
    noun = name.replace("_", " ")
    return environment.from_string(text).render(name=name, noun=noun, title=noun.capitalize(), **values)


def _scenes_without(sprites: Mapping[str, str], catalog: Catalog) -> list[str]:
    """Scenes that show none of the sprites."""
    drawn = [subject for ability in catalog.single.values() for subject in ability.drawn_subjects if subject.backdrop]
    free = [
        subject.name
        for subject in drawn
        if subject.backdrop and not {*subject.backdrop.props, *subject.backdrop.sky_props} & set(sprites.values())
    ]
    return free[:_SCENES]
