"""The benchmark: held-out pictures of every ability, each asked one question in a wording training never uses."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from stablellava_assets.abilities.catalog import QUESTION_KINDS, Ability
from stablellava_assets.abilities.prompts import draw_prompt
from stablellava_assets.abilities.questions import benchmark_question
from stablellava_assets.painters.base import Painter
from stablellava_assets.tables.identity import content_key, derive_seed
from stablellava_assets.tables.row import Row
from stablellava_assets.tables.rows import PlannedRow

PAINTED = "ai"
"""Name of the benchmark whose pictures the profile's painter paints."""


def plan_items(ability: Ability, items_per_kind: int, painter: Painter) -> list[PlannedRow]:
    """The items of an ability, ``items_per_kind`` of each question kind; every second yes-no item is a no.

    Every item has a picture of its own, so that items are independent, as intervals and tests assume.
    """
    specs: list[Row] = []
    questions: list[dict[str, Any]] = []
    for kind in QUESTION_KINDS:
        for index in range(items_per_kind):
            item_id = content_key("benchmark item", PAINTED, ability.ability, kind, index)
            prompt = draw_prompt(ability, item_id)
            subject = ability.subject_named(prompt["subject"])
            present = index % 2 == 0 if kind == "yes_no" else None
            asked = benchmark_question(ability, subject, kind, item_id, present=present)
            specs.append(
                {"spec_id": item_id, "ability": ability.ability, "batch": "", "seed": derive_seed(item_id), **prompt}
            )
            questions.append(
                {
                    "benchmark": PAINTED,
                    "ability": ability.ability,
                    "question_kind": kind,
                    "prompt": prompt["prompt"],
                    "seed": specs[-1]["seed"],
                    "question": asked.text,
                    "options": list(asked.options),
                    "accepted": list(asked.accepted),
                    "refused": list(asked.refused),
                }
            )
    return [
        PlannedRow(
            spec["spec_id"],
            content_key("benchmark row", question, picture.row_key),
            {"picture": picture, "question": question},
        )
        for spec, question, picture in zip(specs, questions, painter.plan(specs), strict=True)
    ]


def make_items(planned: Sequence[PlannedRow], painter: Painter) -> Iterable[Row]:
    """Paint the items' pictures; yields ``ability_benchmark`` rows."""
    by_spec = {row.row_id: row for row in planned}
    for painted in painter.paint([row.inputs["picture"] for row in planned]):
        item = by_spec[painted["spec_id"]]
        yield {
            "item_id": item.row_id,
            **item.inputs["question"],
            "image": painted["image"],
            "perceptual_hash": painted["perceptual_hash"],
            "row_key": item.row_key,
            "status": painted["status"],
            "reason": painted["reason"],
        }
