"""The embedded author's prompts say which vocabulary they were drawn from, and keep their keys while it grows."""

from __future__ import annotations

from stablellava_assets.abilities.ability import Ability
from stablellava_assets.abilities.catalog import load_catalog
from stablellava_assets.authors.embedded.author import EmbeddedAuthor


def versions(ability: Ability) -> set[str]:
    return {row.inputs["template_version"] for row in EmbeddedAuthor().plan_prompts(ability, "0001", 40)}


def test_the_template_version_is_that_of_the_vocabulary() -> None:
    animal = load_catalog().single["animal"]
    (before,) = versions(animal)
    assert versions(load_catalog().single["animal"]) == {before}
    prompts = animal.prompts.model_copy(update={"details": [*animal.prompts.details, "a new detail"]})
    fields = {name: getattr(animal, name) for name in Ability.model_fields}
    grown = Ability.model_construct(**{**fields, "prompts": prompts})
    assert versions(grown) != {before}
    keys, more = ([row.row_key for row in EmbeddedAuthor().plan_prompts(each, "0001", 40)] for each in (animal, grown))
    assert sum(one == other for one, other in zip(keys, more, strict=True)) > 20, "only rows that drew it are others"
