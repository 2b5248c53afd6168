"""Drafts the file of a new ability."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from stablellava_assets.abilities.catalog import Catalog

_TEMPLATE = Path(__file__).with_name("new_ability.yaml.jinja")
_SCENES = 6


def draft(name: str, sprites: Mapping[str, str], catalog: Catalog) -> str:
    """A commented YAML file for the ability ``name``, complete as it is.

    Args:
        name: the name of the ability.
        sprites: the emoji of each subject.
        catalog: the abilities whose scenes can be used.
    """
    import jinja2

    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True, autoescape=False)
    noun = name.replace("_", " ")
    return environment.from_string(_TEMPLATE.read_text(encoding="utf-8")).render(
        name=name, noun=noun, title=noun.capitalize(), subjects=sprites, scenes=_scenes_without(sprites, catalog)
    )


def _scenes_without(sprites: Mapping[str, str], catalog: Catalog) -> list[str]:
    """Scenes that show none of the sprites."""
    drawn = [subject for ability in catalog.single.values() for subject in ability.drawn_subjects if subject.backdrop]
    free = [
        subject.name
        for subject in drawn
        if subject.backdrop and not {*subject.backdrop.props, *subject.backdrop.sky_props} & set(sprites.values())
    ]
    return free[:_SCENES]
