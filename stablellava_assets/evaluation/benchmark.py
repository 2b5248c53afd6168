"""The benchmark: held-out images of every ability, each with one question in a wording that is never used in
training."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from stablellava_assets.abilities.ability import QUESTION_KINDS, Ability
from stablellava_assets.abilities.prompts import draw_prompt
from stablellava_assets.abilities.questions import benchmark_question
from stablellava_assets.painters.base import Painter
from stablellava_assets.tables.identity import content_key, derive_seed
from stablellava_assets.tables.pair_rows import PromptToPaint
from stablellava_assets.tables.rows import AnyPlanned, PlannedRow
from stablellava_assets.tables.score_rows import BenchmarkItem, ItemColumns

PAINTED = "ai"
"""Name of the benchmark with images by the profile's painter."""


class _Question(ItemColumns):
    prompt: str
    seed: int


@dataclass(frozen=True)
class PaintedItem:
    """Inputs of an item: the planned row of its image, and the other columns."""

    picture: AnyPlanned
    question: _Question


def plan_items(ability: Ability, items_per_kind: int, painter: Painter) -> list[PlannedRow[PaintedItem]]:
    """The items of an ability, ``items_per_kind`` per question kind. The answers to yes-no questions alternate.

    Every item has its own image, so that items are independent, as intervals and tests assume.
    """
    specs: list[PromptToPaint] = []
    questions: list[_Question] = []
    for kind in QUESTION_KINDS:
        for index in range(items_per_kind):
            item_id = content_key("benchmark item", PAINTED, ability.ability, kind, index)
            prompt = draw_prompt(ability, item_id)
            subject = ability.subject_named(prompt["subject"])
            present = index % 2 == 0 if kind == "yes_no" else None
            asked = benchmark_question(ability, subject, kind, item_id, present=present)
            seed = derive_seed(item_id)
            specs.append(
                {
                    "spec_id": item_id,
                    "ability": ability.ability,
                    "batch": "",
                    "seed": seed,
                    "prompt": prompt["prompt"],
                    "negative_prompt": prompt["negative_prompt"],
                }
            )
            questions.append(
                {
                    "benchmark": PAINTED,
                    "ability": ability.ability,
                    "question_kind": kind,
                    "prompt": prompt["prompt"],
                    "seed": seed,
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
            PaintedItem(picture, question),
        )
        for spec, question, picture in zip(specs, questions, painter.plan(specs), strict=True)
    ]


def make_items(planned: Sequence[PlannedRow[PaintedItem]], painter: Painter) -> Iterable[BenchmarkItem]:
    """Make the items' images; yields ``ability_benchmark`` rows."""
    by_spec = {row.row_id: row for row in planned}
    for painted in painter.paint([row.inputs.picture for row in planned]):
        item = by_spec[painted["spec_id"]]
        yield {
            "item_id": item.row_id,
            **item.inputs.question,
            "image": painted["image"],
            "sha256": painted["sha256"],
            "perceptual_hash": painted["perceptual_hash"],
            "row_key": item.row_key,
            "status": painted["status"],
            "reason": painted["reason"],
        }
