"""The embedded author's prompts say which vocabulary they were drawn from, and keep their keys while it grows."""

from __future__ import annotations

from collections import Counter

from stablellava_assets.abilities.ability import Ability
from stablellava_assets.abilities.brief import Brief
from stablellava_assets.abilities.catalog import load_catalog
from stablellava_assets.abilities.questions import training_question
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


def test_a_brief_moves_prompts_to_its_subjects_and_leaves_the_others_alone() -> None:
    animal = load_catalog().single["animal"]
    briefed = animal.with_brief(Brief(subjects={"lion": 5.0}))
    before, after = (
        [row.inputs for row in EmbeddedAuthor().plan_prompts(each, "0001", 300)] for each in (animal, briefed)
    )
    drawn = Counter(row["subject"] for row in after)
    assert drawn["lion"] > 3 * Counter(row["subject"] for row in before)["lion"]
    changed = [(old, new) for old, new in zip(before, after, strict=True) if old != new]
    assert {new["subject"] for _, new in changed} == {"lion"}
    assert animal.brief == Brief()


def test_a_brief_misleads_by_what_is_mistaken_for_the_subject() -> None:
    animal = load_catalog().single["animal"]
    briefed = animal.with_brief(Brief(confused={"lion": {"tiger": 50.0}}))
    lion = animal.subject_named("lion")
    offered = Counter(
        option
        for index in range(100)
        for option in training_question(briefed, lion, "either_or", index, present=None).options
    )
    assert offered["tiger"] > 50
