"""Assigns to each group of prompts what its images compare, and a keyword, in rotation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from stablellava_assets.abilities.groups import draw_group
from stablellava_assets.abilities.multi_image import Aspect, MultiImageAbility, Values
from stablellava_assets.abilities.prompts import DrawnPrompt
from stablellava_assets.authors.chat.rotation import hint_of, rotation
from stablellava_assets.tables.identity import choose, choose_weighted, content_key


@dataclass(frozen=True)
class GroupSlot:
    """A group of prompts to write. ``prompts`` are given for groups that the embedded painter can draw.

    Other groups compare an aspect, and ``value_numbers`` says which of its values each image has. ``exact`` groups have
    everything else in common.
    """

    index: int
    exact: bool
    theme: str = ""
    hint: str = ""
    compared: Aspect = "subject"
    values: Values = "different"
    value_numbers: tuple[int, ...] = ()
    prompts: tuple[DrawnPrompt, ...] = ()


def guided_group_slots(
    ability: MultiImageAbility, batch: str, count: int, author: str
) -> Iterator[tuple[str, GroupSlot]]:
    """Ids and slots of ``count`` groups about the ability's ``chat.keywords``."""
    themes = rotation(list(dict.fromkeys(ability.chat.keywords)), count, ability.ability, batch)
    for index, theme in enumerate(themes):
        group_id = _group_id(ability, batch, index, author)
        values = choose(ability.images.values, group_id, "values")
        related = values in ("related", "unrelated")
        yield (
            group_id,
            GroupSlot(
                index,
                exact=ability.images.rest == "same" and not related,
                theme=theme,
                hint=hint_of(ability.ability, batch, index),
                compared=choose_weighted(ability.images.compare, ability.brief.compared, group_id, "compared"),
                values=values,
                value_numbers=_value_numbers(ability, values, group_id),
            ),
        )


def drawn_group_slots(
    ability: MultiImageAbility, batch: str, count: int, author: str
) -> Iterator[tuple[str, GroupSlot]]:
    """Ids and slots of ``count`` groups that the embedded painter draws."""
    for index in range(count):
        group_id = _group_id(ability, batch, index, author)
        drawn = draw_group(ability, group_id)
        yield group_id, GroupSlot(index, exact=drawn.exact, prompts=tuple(drawn.prompts))


def _group_id(ability: MultiImageAbility, batch: str, index: int, author: str) -> str:
    return content_key("group", author, ability.ability, batch, index)


def _value_numbers(ability: MultiImageAbility, values: Values, group_id: str) -> tuple[int, ...]:
    places = range(ability.images.count)
    if values == "same":
        return (0,) * len(places)
    if values == "one_odd":
        odd = choose(places, group_id, "odd")
        return tuple(int(place == odd) for place in places)
    return tuple(places)
