"""Prompts and dialogues of the embedded author for abilities about several images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from stablellava_assets.abilities.group_questions import training_dialogues
from stablellava_assets.abilities.groups import draw_group
from stablellava_assets.abilities.multi_image import MultiImageAbility
from stablellava_assets.authors.base import NOT_ASKED
from stablellava_assets.tables.groups import complete_groups
from stablellava_assets.tables.identity import content_key, derive_seed
from stablellava_assets.tables.pair_rows import DialogueColumns, PaintedImage, SpecColumns, WrittenSpec, facts_of
from stablellava_assets.tables.rows import PlannedRow
from stablellava_assets.text.conversations import exchange


def plan_group_prompts(
    ability: MultiImageAbility, batch: str, count: int, author: str
) -> Iterator[PlannedRow[SpecColumns]]:
    """Plan the prompts of ``count`` groups."""
    vocabulary = _vocabulary_key(ability)
    for index in range(count):
        group_id = content_key("group", author, ability.ability, batch, index)
        drawn = draw_group(ability, group_id)
        for number, prompt in enumerate(drawn.prompts, 1):
            spec_id = content_key("spec", group_id, number)
            content: SpecColumns = {
                "ability": ability.ability,
                "batch": batch,
                **prompt,
                "seed": derive_seed(group_id if drawn.exact else spec_id),
                "group_id": group_id,
                "image_number": number,
                "author": author,
                "template_version": content_key(prompt),
                **NOT_ASKED,
            }
            row_key = content_key("spec row", spec_id, content)
            yield PlannedRow(spec_id, row_key, {**content, "template_version": vocabulary})


def plan_group_dialogues(
    ability: MultiImageAbility, painted: Sequence[tuple[WrittenSpec, PaintedImage]], author: str
) -> Iterator[PlannedRow[DialogueColumns]]:
    """Plan every dialogue about every group whose images are all given."""
    for group in complete_groups(painted, ability.images.count):
        specs = [spec for spec, _ in group]
        group_id = str(specs[0].get("group_id"))
        facts = [facts_of(spec) for spec in specs]
        for asked in training_dialogues(ability, facts, group_id):
            content: DialogueColumns = {
                "ability": ability.ability,
                "batch": specs[0]["batch"],
                "spec_ids": [spec["spec_id"] for spec in specs],
                "image_ids": [image["image_id"] for _, image in group],
                "conversations": [*asked.history, *exchange(asked.text, asked.answer)],
                "question_kind": "multi_turn" if asked.history else asked.kind,
                "expected": asked.expected,
                "author": author,
                **NOT_ASKED,
                "sees_picture": None,
            }
            pair_id = content_key("pair", group_id, asked.name, asked.kind, asked.present, asked.number)
            row_key = content_key("pair row", content, [image["sha256"] for _, image in group])
            yield PlannedRow(pair_id, row_key, content)


def _vocabulary_key(ability: MultiImageAbility) -> str:
    """A hash of everything that an ability's prompts are drawn from."""
    sources = [
        [(subject.name, subject.answer, subject.scene) for subject in source.drawn_subjects]
        for source in ability.sources.values()
    ]
    return content_key("vocabulary", ability.images, ability.prompts, ability.negative_prompt, sources)
