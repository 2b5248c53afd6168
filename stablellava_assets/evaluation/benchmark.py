"""The benchmark: held-out images of every ability, each with one question in a wording that is never used in
training."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice, product
from operator import itemgetter
from typing import NamedTuple

from stablellava_assets.abilities import group_questions
from stablellava_assets.abilities.ability import QUESTION_KINDS, Ability, QuestionKind
from stablellava_assets.abilities.catalog import AnyAbility
from stablellava_assets.abilities.group_questions import WordedQuestion
from stablellava_assets.abilities.groups import DrawnGroup, draw_group
from stablellava_assets.abilities.multi_image import MultiImageAbility
from stablellava_assets.abilities.prompts import DrawnPrompt, draw_prompt
from stablellava_assets.abilities.questions import benchmark_question
from stablellava_assets.evaluation.ordinals import said_as
from stablellava_assets.painters.base import Painter
from stablellava_assets.tables.identity import content_key, derive_seed
from stablellava_assets.tables.pair_rows import ImageRow, PromptToPaint, facts_of
from stablellava_assets.tables.rows import AnyPlanned, PlannedRow
from stablellava_assets.tables.schemas import MADE
from stablellava_assets.tables.score_rows import BenchmarkItem, ItemColumns

PAINTED = "ai"
"""Name of the benchmark with images by the profile's painter."""
DIAGNOSIS = "diagnosis"
"""Name of items like these that only the tuned model is asked, to see what to teach next; they are in no score."""

_MOST_DRAWS = 200
"""How many groups of images are drawn for an item until one suits its question and its answer."""


class _Question(ItemColumns):
    prompt: str
    seed: int


@dataclass(frozen=True)
class PaintedItem:
    """Inputs of an item: the planned rows of its images, and the other columns."""

    pictures: tuple[AnyPlanned, ...]
    question: _Question


class _Draft(NamedTuple):
    """An item before the painter plans its images."""

    item_id: str
    specs: list[PromptToPaint]
    question: _Question


def plan_items(
    ability: AnyAbility, items_per_kind: int, painter: Painter, benchmark: str = PAINTED
) -> list[PlannedRow[PaintedItem]]:
    """The items of an ability, ``items_per_kind`` per question kind. The answers to yes-no questions alternate.

    Every item has images of its own, so that items are independent, as intervals and tests assume. ``benchmark`` is
    ``PAINTED`` or ``DIAGNOSIS``, which differ in all ids and seeds.

    Raises:
        ValueError: hardly a group of images suits a kind of question.
    """
    if isinstance(ability, MultiImageAbility):
        drafts = [
            _group_draft(ability, kind, index, benchmark)
            for kind in group_questions.kinds_of(ability)
            for index in range(items_per_kind)
        ]
    else:
        drafts = [_draft(ability, kind, index, benchmark) for kind in QUESTION_KINDS for index in range(items_per_kind)]
    pictures = iter(painter.plan([spec for draft in drafts for spec in draft.specs]))
    items = [PaintedItem(tuple(islice(pictures, len(draft.specs))), draft.question) for draft in drafts]
    return [
        PlannedRow(
            draft.item_id,
            content_key("benchmark row", item.question, *(picture.row_key for picture in item.pictures)),
            item,
        )
        for draft, item in zip(drafts, items, strict=True)
    ]


def make_items(planned: Sequence[PlannedRow[PaintedItem]], painter: Painter) -> Iterable[BenchmarkItem]:
    """Make the items' images; yields ``ability_benchmark`` rows. An item is made once all its images are.

    Images wait in memory for the others of their item only.
    """
    places = {
        _spec_id(row.row_id, at, len(row.inputs.pictures)): (row, at)
        for row in planned
        for at in range(len(row.inputs.pictures))
    }
    waiting: dict[str, dict[int, ImageRow]] = {}
    for painted in painter.paint([picture for row in planned for picture in row.inputs.pictures]):
        row, at = places[painted["spec_id"]]
        finished = waiting.setdefault(row.row_id, {})
        finished[at] = painted
        if len(finished) == len(row.inputs.pictures):
            yield _item(row, [image for _, image in sorted(waiting.pop(row.row_id).items(), key=itemgetter(0))])


def _draft(ability: Ability, kind: QuestionKind, index: int, benchmark: str) -> _Draft:
    item_id = content_key("benchmark item", benchmark, ability.ability, kind, index)
    present = index % 2 == 0 if kind == "yes_no" else None
    prompt = draw_prompt(ability, item_id)
    asked = benchmark_question(ability, ability.subject_named(prompt["subject"]), kind, item_id, present=present)
    seed = derive_seed(item_id)
    spec = _spec(ability, item_id, prompt, seed)
    return _Draft(
        item_id,
        [spec],
        {
            "benchmark": benchmark,
            "ability": ability.ability,
            "question_kind": kind,
            "prompt": prompt["prompt"],
            "seed": seed,
            "question": asked.text,
            "options": list(asked.options),
            "accepted": list(asked.accepted),
            "refused": list(asked.refused),
        },
    )


def _group_draft(ability: MultiImageAbility, kind: QuestionKind, index: int, benchmark: str) -> _Draft:
    item_id = content_key("benchmark item", benchmark, ability.ability, kind, index)
    drawn, asked = _drawn_question(ability, kind, index, item_id)
    specs: list[PromptToPaint] = []
    for at, prompt in enumerate(drawn.prompts):
        spec_id = _spec_id(item_id, at, len(drawn.prompts))
        spec = _spec(ability, spec_id, prompt, derive_seed(item_id if drawn.exact else spec_id))
        specs.append({**spec, "group_id": item_id, "image_number": at + 1})
    # An image may be named by its place in more ways than the author's.
    groups = [said_as(group, alone=True) for group in asked.accepted_groups]
    return _Draft(
        item_id,
        specs,
        {
            "benchmark": benchmark,
            "ability": ability.ability,
            "question_kind": kind,
            "prompt": "\n".join(prompt["prompt"] for prompt in drawn.prompts),
            "seed": specs[0]["seed"],
            "question": asked.text,
            "options": list(asked.options),
            "accepted": groups[0],
            "refused": said_as(asked.refused, alone=False),
            "accepted_groups": groups if len(groups) > 1 else None,
            "in_order": asked.in_order or None,
            "history": list(asked.history) or None,
        },
    )


def _drawn_question(
    ability: MultiImageAbility, kind: QuestionKind, index: int, item_id: str
) -> tuple[DrawnGroup, WordedQuestion]:
    """A group of images and the question about it.

    The questions of a kind take turns, each with every answer, yes and no or the place among the options, so that
    neither the wording nor the place tells the answer.
    """
    names = group_questions.names_of(ability, kind)
    present = index % 2 == 0 if kind == "yes_no" else None
    answers = {"what": 1, "yes_no": 2, "either_or": ability.images.count}[kind]
    usable = None
    # No group may suit a question with this answer; then any question is asked.
    for name, attempt in product((names[index // answers % len(names)], None), range(_MOST_DRAWS)):
        if name is None and usable is not None:
            break
        drawn = draw_group(ability, item_id, attempt)
        facts = [facts_of(prompt) for prompt in drawn.prompts]
        asked = group_questions.benchmark_question(ability, facts, kind, item_id, attempt, present=present, name=name)
        if asked is None:
            continue
        usable = usable or (drawn, asked)
        if not asked.options or asked.options.index(asked.expected) == index % len(asked.options):
            return drawn, asked
    if usable is None:
        said = "" if present is None else f" with the answer {'yes' if present else 'no'}"
        raise ValueError(
            f"ability {ability.ability!r}: of {_MOST_DRAWS} groups of images, none suits a {kind} question{said}"
        )
    return usable


def _spec_id(item_id: str, at: int, count: int) -> str:
    """The id of the prompt of an item's image."""
    return item_id if count == 1 else content_key("benchmark image", item_id, at)


def _spec(ability: AnyAbility, spec_id: str, prompt: DrawnPrompt, seed: int) -> PromptToPaint:
    return {
        "spec_id": spec_id,
        "ability": ability.ability,
        "batch": "",
        "seed": seed,
        "prompt": prompt["prompt"],
        "negative_prompt": prompt["negative_prompt"],
    }


def _item(row: PlannedRow[PaintedItem], images: Sequence[ImageRow]) -> BenchmarkItem:
    """The item of its images in order; if one was not made, for its reason."""
    first, *further = images
    # A deferred image may be made by the next run.
    unmade = min(
        (image for image in images if image["status"] != MADE), key=lambda image: image["status"], default=None
    )
    made = [] if unmade is not None else further
    return {
        "item_id": row.row_id,
        **row.inputs.question,
        "image": first["image"] if unmade is None else None,
        "sha256": first["sha256"] if unmade is None else None,
        "perceptual_hash": first["perceptual_hash"] if unmade is None else None,
        "further_images": [image["image"] for image in made if image["image"] is not None] or None,
        "further_sha256": [image["sha256"] for image in made if image["sha256"] is not None] or None,
        "further_perceptual_hashes": [
            image["perceptual_hash"] for image in made if image["perceptual_hash"] is not None
        ]
        or None,
        "row_key": row.row_key,
        "status": MADE if unmade is None else unmade["status"],
        "reason": None if unmade is None else unmade["reason"],
    }
